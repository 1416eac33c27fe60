"""A client written in C from docs/tensor-socket.md: short, without a warning, and of one opinion with the golden bytes."""

import json
import subprocess

import pytest

from tests.fakes.compilers import COMPILER, SOURCE, compile_client
from tests.golden.tensor_socket.renew import PATH

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler (apt install gcc libc6-dev)")

VECTORS = json.loads(PATH.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return compile_client(tmp_path_factory.mktemp("c"))


def read(client, data: str) -> subprocess.CompletedProcess[str]:
    """Have the client print a message that is given in hexadecimal."""
    return subprocess.run([client, "--read"], input=data, capture_output=True, text=True, check=False)


def test_a_whole_client_has_less_than_300_lines():
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 300


def test_it_writes_the_golden_bytes(client):
    dumped = subprocess.run([client, "--dump"], capture_output=True, text=True, check=True).stdout

    assert dumped.splitlines() == [VECTORS["open-scales"]["bytes"], VECTORS["infer"]["bytes"]]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "opened",
            [
                "opened 1.0.0 magika-1.0.0-fp32-any memory 1048576 rate 50000 burst 100 deadline 30000000 wanted 0",
                "kind 1 index 0 datatype 13 flags 0 shape 1 file",
                "kind 2 index 1 datatype 8 flags 0 shape -1x2048 bytes",
                "kind 2 index 2 datatype 11 flags 1 shape 2x-1x128 état",
                "kind 3 index 0 datatype 11 flags 0 shape  score",
            ],
        ),
        ("result", ["scale 0", "output 0 shape 1x4"]),
        ("result-scale", ["scale 500", "output 0 shape 1x4"]),
        (
            "error-of-connection",
            [
                (
                    "error 404 model-unknown: no model magica is active on this device Active models: magika. "
                    "(retry 0 output ffffffff needed 0 flags 1)"
                )
            ],
        ),
        ("error-of-request", ["error 429 quota-exceeded: too many requests  (retry 250 output ffffffff needed 0 flags 0)"]),
        ("error-of-room", ["error 400 tensor-invalid: output score needs 16 bytes  (retry 0 output 0 needed 16 flags 0)"]),
        ("notice", ["notice 1.0.1 magika-1.0.1-int8-any wanted 0"]),
        ("notice-scale", ["notice 1.0.1 magika-1.0.1-int8-any wanted 333"]),
    ],
)  # fmt: skip
def test_it_reads_the_golden_bytes(client, name, words):
    answered = read(client, VECTORS[name]["bytes"])

    assert (answered.returncode, answered.stdout.splitlines()) == (0, words), answered.stderr


@pytest.mark.parametrize("name", ["opened", "result", "error-of-request", "notice"])
def test_it_refuses_messages_that_are_cut(client, name):
    cut = VECTORS[name]["bytes"][:-2]

    assert read(client, cut).returncode == 1
    assert read(client, f"{len(cut) // 2:02x}" + cut[2:]).returncode == 1
