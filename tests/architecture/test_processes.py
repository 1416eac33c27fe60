"""What each process imports: a library that one of them does not need would cost it megabytes, and every device has them all the time."""

import subprocess
import sys

import pytest

PUBLISHING = "jsonschema rfc8785 edged.publish edged.client edged.cli hypothesis pytest"
UPDATING = "tuf securesystemslib cryptography requests edged.update.refresh edged.update.trust edged.update.origins edged.update.download"
POLLING = "edged.update.service edged.update.lookout edged.update.waits"
COMPUTING = "numpy onnxruntime edged.worker.serve edged.worker.backends edged.pipeline.kernels"
SERVING = "aiohttp sqlite3 edged.api edged.daemon"
RARE = "argparse difflib hashlib"
"""What a service needs when somebody makes a mistake, gives it arguments, or has it hash something."""

ABSENT = {
    "edged.daemon": f"ssl difflib jeepney {COMPUTING} {UPDATING} {PUBLISHING}",
    "edged.egress": f"ssl {RARE} {COMPUTING} {UPDATING} {SERVING} {PUBLISHING}",
    "edged.presence": f"asyncio ssl {RARE} {COMPUTING} {UPDATING} {SERVING} {PUBLISHING}",
    "edged.offload": f"aiohttp sqlite3 edged.daemon {COMPUTING} {UPDATING} {PUBLISHING}",
    "edged.update": f"{RARE} edged.update.traffic {COMPUTING} {UPDATING} {SERVING} {PUBLISHING}",
    "edged.update.refresh": f"urllib3 requests {COMPUTING} {SERVING} {PUBLISHING} {POLLING}",
    "edged.worker.template": f"ssl asyncio {UPDATING} {SERVING} {PUBLISHING}",
}
"""By process, as ``python -m`` starts it."""

IMPORT = """
import importlib, importlib.util, sys
name = sys.argv[1]
importlib.import_module(name if importlib.util.find_spec(name).submodule_search_locations is None else name + ".__main__")
print(*(module for module in sys.argv[2:] if sys.modules.get(module) is not None))
"""


@pytest.mark.parametrize("process", ABSENT)
def test_a_process_imports_nothing_that_only_others_need(process):
    command = [sys.executable, "-c", IMPORT, process, *ABSENT[process].split()]
    found = subprocess.run(command, capture_output=True, text=True, check=True)

    assert found.stdout.split() == []


def test_the_runtime_brings_none_of_its_tools():
    """What forks the workers has them all: the library itself, and no more of it than running models takes."""
    warm_up = (
        "import sys; import edged.worker.template; from edged.worker.backends.ort import OnnxRuntime; OnnxRuntime();"
        "print(*(module for module in sys.argv[1:] if module in sys.modules))"
    )
    absent = (
        "asyncio ssl psutil sympy onnx google.protobuf flatbuffers packaging coloredlogs numpy.random numpy.ma numpy.fft numpy.testing"
        " numpy.polynomial numpy.f2py onnxruntime.tools onnxruntime.quantization onnxruntime.transformers onnxruntime.training"
    )
    found = subprocess.run([sys.executable, "-c", warm_up, *absent.split()], capture_output=True, text=True, check=True)

    assert found.stdout.split() == []
