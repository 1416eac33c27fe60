"""The C client and the whole daemon: the specification is enough to ask a model, also after the daemon was started again."""

import subprocess

import numpy as np
import pytest

from tests.fakes.compilers import COMPILER, compile_client
from tests.fakes.live_daemons import live_daemon
from tests.fakes.patience import PATIENCE_S
from tests.fakes.plain_bundles import make_types_bundle

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (apt install gcc libc6-dev)")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compile_client(tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    with live_daemon() as device:
        bundle = make_types_bundle(tmp_path_factory.mktemp("bundles"), {"x": np.ones(2, np.float32)})
        device.install(bundle)
        device.roll_out("types", "1.0.0")
        device.start()
        device.wait_for_model("types")
        yield device


def ask(program, device, *arguments: str) -> tuple[int, list[str]]:
    command = [program, *arguments[:-3], device.tensor_socket, *arguments[-3:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode, done.stdout.splitlines()


def test_an_app_in_c_is_answered(program, device):
    code, said = ask(program, device, "types", "3", "2.5")

    assert code == 0
    assert said[0].startswith("opened 1.0.0 types-1.0.0-")
    assert said[0].endswith(" wanted 1000")
    assert said[-2:] == ["scale 0", "output 0 shape 3 2.5 2.5 2.5"]


def test_an_app_in_c_that_takes_its_memory_away_cannot(program, device):
    code, said = ask(program, device, "--truncate", "types", "10000", "1")

    assert code == 0
    assert "truncate: Operation not permitted" in said
    assert said[-1].startswith("output 0 shape 10000 1 1 1")


def test_an_app_in_c_reads_why_it_is_refused(program, device):
    code, said = ask(program, device, "types", "2x2", "1")
    assert code == 1
    assert said[-1].startswith("error 400 tensor-invalid: tensor x: shape is [2, 2], expected [-1]")

    code, said = ask(program, device, "nobody", "1", "1")
    assert code == 1
    assert said[-1].startswith(
        "error 404 model-unknown: no model nobody is active on this device Active models: types."
    )


def test_apps_that_connect_while_the_daemon_is_started_again_wait(program, device):
    """The socket is the service manager's, and takes connections all the time."""
    device.stop()
    waiting = subprocess.Popen([program, device.tensor_socket, "types", "2", "4"], stdout=subprocess.PIPE, text=True)
    device.start()
    said, _ = waiting.communicate(timeout=PATIENCE_S)

    assert waiting.returncode == 0, said
    assert said.splitlines()[-1] == "output 0 shape 2 4 4"
