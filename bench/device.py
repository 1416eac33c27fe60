"""edged for the benchmark: bundles, a signed repository on a static host, and ``edged dev`` in front of it, as on a device."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.models import Model
from bench.processes import running, unix_connection, wait_until
from bench.servers.sessions import new_session

EDGED: Final = (sys.executable, "-m", "edged")
EDGE_PUBLISH: Final = (sys.executable, "-m", "edged.publish.main")
_POLL_S: Final = 1.0
_NEVER_S: Final = 1e6
"""Between polls of a device that is measured: what a poll costs is no part of what serving costs."""
FILLING_VERSIONS: Final = 8
SECOND_VARIANT: Final = """
[[variants]]
model = "model.onnx"
tier = "memory"
precision = "int8"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 10000.0, memory_bytes = 536870912 }
"""
"""The same file under another name: what is measured is what is done with variants, not what one of them gains."""
_DATATYPES: Final = {"float32": "FP32", "int64": "INT64", "int32": "INT32"}

_RECIPE: Final = """\
name = "{name}"
version = "{version}"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 10000.0, memory_bytes = 536870912 }}
{settings}

[pipeline]
inputs = [{inputs}]
outputs = [{outputs}]

[validation]
kit = "kit"
tolerance = [{tolerance}]

[provenance]
source = "{source}"
licence = "{licence}"
"""


def publish(models: Sequence[Model], work: Path) -> None:
    """Make ``work/repo``, a signed repository with a bundle of each model; the golden outputs are those of this process."""
    edge_publish("init", work / "repo", "--keys", work / "keys")
    for model in models:
        publish_version(model, work)


def publish_version(
    model: Model, work: Path, *, version: str = "1.0.0", options: Sequence[str] = (), more: str = ""
) -> None:
    """Add one version of a model to ``work/repo``; ``more`` is added to its recipe."""
    recipe = _write_sources(model, work / "sources" / model.name, version)
    recipe.write_text(recipe.read_text() + more)
    edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    bundle = work / f"bundles/{model.name}-{version}"
    edge_publish("publish", bundle, *options, "--repo", work / "repo", "--keys", work / "keys")


def fetch_all(models: Sequence[Model], work: Path, device: Path) -> None:
    """Run ``edged dev`` against the repository until every model of it answers, and stop it: the device has its bundles now."""
    port = _host_port()
    host_log, log = work / "host.log", work / "first.log"
    command = [*EDGE_PUBLISH, "serve", str(work / "repo"), "--port", str(port)]
    with running(command, host_log), _dev(device, work, log, port, poll_s=_POLL_S) as process:
        wait_until(lambda: answering(device) >= {model.name for model in models}, "edged's models", process, log)


def fill_store(device: Path, size_bytes: int) -> None:
    """Put so much more into a device's store: versions that do not answer, each as large as models are that fill a device."""
    for number in range(FILLING_VERSIONS):
        directory = device / "store" / "bundles" / "filling" / f"{number}.0.0"
        directory.mkdir(parents=True)
        with (directory / "model.onnx").open("wb") as file:
            for _ in range(size_bytes // FILLING_VERSIONS >> 20):
                file.write(os.urandom(1 << 20))


@contextmanager
def edged(device: Path, work: Path, log: Path, *options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run the whole service, gate, updater and daemon, on what the device has; the host is away, which it finds out once."""
    with _dev(device, work, log, _host_port(), *options, poll_s=_NEVER_S) as process:
        yield process


@cache
def _host_port() -> int:
    """Return a port that was free when it was first asked for; devices know their host by it."""
    with socket.create_server(("localhost", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def socket_of(device: Path) -> Path:
    """Return the apps' socket of a device."""
    return device / "run/edged.sock"


def _dev(device: Path, work: Path, log: Path, port: int, *options: object, poll_s: float) -> Any:
    command = [*EDGED, "dev", "--dir", str(device), "--repository", f"http://localhost:{port}/"]
    command += ["--root", str(work / "repo/metadata/1.root.json"), "--poll-interval", str(poll_s)]
    return running([*command, *map(str, options)], log)


def answering(device: Path) -> set[str]:
    """Return the models that answer on a device."""
    try:
        with unix_connection(socket_of(device)) as sock:
            sock.sendall(b"GET /edged/v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
    except OSError:
        return set()
    document = json.loads(answer.partition(b"\r\n\r\n")[2])
    return {model["name"] for model in document["models"]}


def edge_publish(*arguments: object) -> None:
    """Run a verb of ``edge-publish``, in silence."""
    command = [*EDGE_PUBLISH, *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours


def _write_sources(model: Model, directory: Path, version: str) -> Path:
    kit = directory / "kit"
    kit.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model.path, directory / "model.onnx")
    session = new_session(model.path)
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(names, dict(model.inputs)), strict=True))
    for name, array in model.inputs.items():
        (kit / f"{name}.bin").write_bytes(array.tobytes())
    sample = {
        "name": "one",
        "inputs": [
            {"name": name, "shape": list(array.shape), "file": f"{name}.bin"} for name, array in model.inputs.items()
        ],
        "golden": [
            {"name": name, "dtype": "FP32", "shape": list(array.shape), "data": array.ravel().tolist()}
            for name, array in results.items()
        ],
    }
    document = {"schema": 1, "reference": "onnxruntime in the benchmark's process", "samples": [sample]}
    (kit / "kit.json").write_text(json.dumps(document))
    settings = [f'state = [{{ input = "{taken}", output = "{given}" }}]' for taken, given in model.state.items()]
    if model.max_rows:
        settings.append(f"batching = {{ max_rows = {model.max_rows} }}")
    recipe = directory / "recipe.toml"
    recipe.write_text(
        _RECIPE.format(
            name=model.name,
            version=version,
            settings="\n".join(settings),
            inputs=", ".join(
                _spec(name, (-1, *array.shape[1:]) if model.max_rows else array.shape, array.dtype)
                for name, array in model.inputs.items()
            ),
            outputs=", ".join(_spec(name, (-1,) * array.ndim, array.dtype) for name, array in results.items()),
            tolerance=", ".join(f'{{ output = "{name}", absolute = 0.01 }}' for name in results),
            source=model.source,
            licence=model.licence,
        )
    )
    return recipe


def _spec(name: str, shape: Sequence[int], dtype: np.dtype[Any]) -> str:
    return f'{{ name = "{name}", dtype = "{_DATATYPES[str(dtype)]}", shape = {list(shape)} }}'
