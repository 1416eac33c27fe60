"""edgectl against a real socket: pages, JSON, exit codes."""

import asyncio
import json
import subprocess
import sys

import pytest

from edged import __version__
from edged.api.status import Status
from edged.cli import edgectl
from edged.errors import UnavailableError
from tests.fakes.fake_models import FakeModels
from tests.fakes.raw_http import listening, running


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path / "s", max_body_bytes=1_000_000) as server:
        yield server


async def edge(server, *args):
    """Run edgectl beside the server's loop."""
    return await asyncio.to_thread(edgectl.main, ["--socket", str(server.path), *args])


async def test_status_is_a_page_or_the_document(server, capsys):
    assert await edge(server, "status") == 0
    assert "slot a  active  good   1.2.3" in capsys.readouterr().out
    assert await edge(server, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == "echo"


async def test_a_degraded_device_shows_in_the_exit_code(server):
    server.models.document = Status(edged="0.1.0", state="degraded", started_at=0.0, models=())

    assert await edge(server, "status") == 6


async def test_a_daemon_that_does_not_answer_is_exit_code_3(tmp_path, capsys):
    assert edgectl.main(["--socket", str(tmp_path / "none"), "status"]) == 3
    assert "does not answer" in capsys.readouterr().err


def test_a_daemon_that_hangs_up_is_exit_code_3(tmp_path):
    with listening(tmp_path / "s") as sock:
        server = subprocess.Popen([sys.executable, "-c", "import socket; socket.socket(fileno=0).accept()"], stdin=sock)
        try:
            assert edgectl.main(["--socket", str(tmp_path / "s"), "status"]) == 3
        finally:
            server.wait(timeout=30)


async def test_models_are_listed_with_what_they_take_and_give(server, capsys):
    assert await edge(server, "models") == 0
    out = capsys.readouterr().out
    assert "echo   1.2.3    echo-1.2.3-fp32-amd64  yes    content BYTES[1]" in out
    assert "left FP32[?,2], right BOOL[2]" in out
    assert await edge(server, "models", "--json") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


async def test_infer_sends_files_as_they_are_and_shows_answers(server, tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(b"\x00" * 10)
    (tmp_path / "b.bin").write_bytes(b"")

    assert await edge(server, "infer", "echo", str(tmp_path / "a.bin"), str(tmp_path / "b.bin")) == 0

    headings, first, second = capsys.readouterr().out.splitlines()
    assert headings.split() == ["FILE", "LABEL", "SCORE", "VARIANT", "MS"]
    assert first.split()[1:5] == ["14", "0.75", "0.25", "echo-1.2.3-fp32-amd64"]
    assert second.split()[1] == "4"


async def test_infer_can_print_the_responses_themselves(server, tmp_path, capsys):
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")

    assert await edge(server, "infer", "--json", "echo", str(file)) == 0

    line = json.loads(capsys.readouterr().out)
    assert (line["file"], line["response"]["outputs"][0]["data"]) == (str(file), ["9"])


async def test_one_file_that_fails_leaves_the_others_their_answers(server, tmp_path, capsys):
    (tmp_path / "a.bin").write_bytes(b"1")
    (tmp_path / "big.bin").write_bytes(bytes(3_000_000))

    code = await edge(
        server, "infer", "echo", str(tmp_path / "none"), str(tmp_path / "big.bin"), str(tmp_path / "a.bin")
    )

    out, err = capsys.readouterr()
    assert code == 2
    assert out.count("\n") == 2
    assert "none: The file cannot be read: No such file or directory. [usage]" in err
    assert "[body-too-large]" in err


@pytest.mark.parametrize(
    ("model", "failure", "code"), [("nobody", None, 5), ("echo", UnavailableError("Loading."), 8), ("../v2", None, 5)]
)
async def test_infer_ends_with_the_code_of_the_error(server, tmp_path, model, failure, code):
    file = tmp_path / "a.bin"
    file.write_bytes(b"1")
    server.models.failure = failure

    assert await edge(server, "infer", model, str(file)) == code


async def test_wait_returns_when_the_device_serves(server, capsys):
    assert await edge(server, "wait", "--model", "echo", "--version", "1.2.3", "--timeout", "5") == 0
    assert capsys.readouterr().out == "Model echo is serving, active version 1.2.3.\n"


async def test_wait_gives_up_with_exit_code_9(tmp_path):
    models = FakeModels()
    models.document = Status(edged="0.1.0", state="idle", started_at=0.0, models=())
    async with running(tmp_path / "s", models=models) as server:
        assert await edge(server, "wait", "--timeout", "0") == 9


@pytest.mark.parametrize(
    "args", [["wait", "--version", "1"], ["wait", "--timeout", "nan"], ["wait", "--timeout", "-1"], [], ["dance"]]
)
async def test_a_wrong_command_is_exit_code_2(server, args):
    try:
        code = await edge(server, *args)
    except SystemExit as exc:  # how argparse ends
        code = exc.code
    assert code == 2


async def test_version_shows_both_and_does_not_need_the_daemon(server, tmp_path, capsys):
    assert await edge(server, "version", "--json") == 0
    assert edgectl.main(["--socket", str(tmp_path / "none"), "version"]) == 0

    first, *rest = capsys.readouterr().out.splitlines()
    assert json.loads(first) == {"schema": 1, "edgectl": __version__, "daemon": __version__}
    assert rest == [f"edgectl {__version__}", "edged   does not answer"]


def test_edgectl_starts_without_the_heavy_libraries():
    """Its start-up path has msgspec and the standard library only."""
    program = "import sys, edged.cli.edgectl; print(*sorted({'numpy','aiohttp','jsonschema','asyncio','onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == ""
