"""edgectl against a real socket: pages, JSON, exit codes."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from edged import __version__
from edged.api.documents.status import CandidateStatus, RefusedReload, Status
from edged.api.endpoints.steering import SteeringRoutes
from edged.cli import edgectl
from edged.errors import StoreError, UnavailableError
from tests.fakes.fake_models import ECHO, PAIR, FakeModels
from tests.fakes.raw_http import listening, running
from tests.fakes.steered import FakeUpdates


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path / "s", max_body_bytes=1_000_000) as server:
        yield server


@pytest.fixture
def updates():
    return FakeUpdates()


@pytest.fixture
async def steered(tmp_path, updates):
    """The administrators' socket."""
    async with running(tmp_path / "admin", routes=SteeringRoutes(updates).routes()) as server:
        yield server


async def edge(server, *args):
    """Run edgectl beside the server's loop."""
    return await asyncio.to_thread(edgectl.main, ["--socket", str(server.path), *args])


async def ended(server, *args):
    """Run edgectl, and return its exit code also when argparse ends it."""
    try:
        return await edge(server, *args)
    except SystemExit as exc:
        return exc.code


def changed(document, **fields):
    return type(document)(**{name: getattr(document, name) for name in document.__struct_fields__} | fields)


async def test_status_is_a_page_or_the_document(server, capsys):
    assert await edge(server, "status") == 0
    assert "slot a  active  good   1.2.3" in capsys.readouterr().out
    assert await edge(server, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["name"] == "echo"


async def test_a_degraded_device_shows_in_the_exit_code(server):
    server.models.document = Status(edged="0.1.0", state="degraded", started_at=0.0, models=())

    assert await edge(server, "status") == 6


async def test_so_does_a_policy_that_was_not_taken(server):
    """The one before is in force, which is not what its author wanted."""
    server.models.document = Status(
        edged="0.1.0",
        state="serving",
        started_at=0.0,
        models=(),
        refused_policies=("policy.toml: file: expected TOML",),
    )

    assert await edge(server, "status") == 6


async def test_so_does_a_reload_that_was_refused(server):
    server.models.document = Status(
        edged="0.1.0",
        state="serving",
        started_at=0.0,
        models=(),
        refused_reload=RefusedReload(at=0.0, problems=("edged.toml: serve: expected a table",)),
    )

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


async def test_models_are_listed_with_how_small_they_may_be_asked_for(tmp_path, capsys):
    models = FakeModels(replace(ECHO, least_scale=0.25), PAIR)
    async with running(tmp_path / "s", models=models) as server:
        assert await edge(server, "models") == 0
        assert await edge(server, "models", "--json") == 0

    out = capsys.readouterr().out
    assert "content BYTES[1]; down to scale 0.25" in out
    assert out.count("scale") == 2


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
    assert await ended(server, *args) == 2


async def test_update_status_shows_the_updater_and_each_model(server, capsys):
    assert await edge(server, "update", "status") == 0
    assert capsys.readouterr().out.startswith(
        "Updates: edged-update has not reported since boot\n\nModel echo: 1.2.3 active"
    )
    assert await edge(server, "update", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


async def test_rollback_says_what_answers_and_history_who_asked_for_it(steered, capsys):
    assert await edge(steered, "update", "rollback", "echo", "--reason", "wrong at night") == 0
    assert capsys.readouterr().out == "echo 1.2.2 answers again\n"

    assert await edge(steered, "update", "history", "echo", "--limit", "5") == 0
    headings, entry = capsys.readouterr().out.splitlines()
    assert headings.split() == ["WHEN", "WHAT", "MODEL", "BY", "WHY"]
    assert "rolled back  echo 1.2.3  operator " in entry
    assert entry.endswith("wrong at night")
    assert await edge(steered, "update", "history", "--json") == 0
    assert json.loads(capsys.readouterr().out)["entries"][0]["version"] == "1.2.3"


async def test_apply_lets_one_model_go_on_or_all_that_wait(steered, capsys):
    assert await edge(steered, "update", "apply", "echo@1.3.0") == 0
    waiting = CandidateStatus(version="1.3.0", waiting_for=("mains power (now on battery)",), since=0.0)
    busy = CandidateStatus(version="0.2.0", waiting_for=(), since=0.0)
    echo, pair = steered.models.document.models
    steered.models.document = changed(
        steered.models.document, models=(changed(echo, candidate=waiting), changed(pair, candidate=busy))
    )
    assert await edge(steered, "update", "apply") == 0

    assert capsys.readouterr().out == "echo 1.3.0 does not wait any longer\n" * 2


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["rollback", "nobody"], 5),
        (["rollback", "pair"], 7),
        (["rollback", "../x"], 2),
        (["apply"], 7),
        (["apply", "echo@9.9.9"], 5),
        (["apply", "echo@1.2.3"], 7),
        (["apply", "pair"], 4),
        (["apply", "echo@latest"], 2),
        (["history", "--limit", "0"], 2),
        (["history", "Echo"], 2),
        ([], 2),
    ],
)
async def test_steering_ends_with_the_code_of_the_error(steered, args, code):
    assert await ended(steered, "update", *args) == code


async def test_a_disk_that_refuses_is_exit_code_1(steered, updates, capsys):
    updates.failure = StoreError("The state cannot be written.", hint="Free some disk.")

    assert await edge(steered, "update", "rollback", "echo") == 1
    assert capsys.readouterr().err == "The state cannot be written. [store-failed]\nhint: Free some disk.\n"


async def test_on_the_apps_socket_there_is_nothing_to_steer_with_and_the_other_is_named(server, capsys):
    assert await edge(server, "update", "rollback", "echo") == 5

    err = capsys.readouterr().err
    assert "[path-unknown]" in err
    assert "/run/edged/admin.sock" in err


def test_an_updater_that_does_not_answer_is_exit_code_3(tmp_path, capsys):
    (tmp_path / "stick").mkdir()
    for args in (["check"], ["apply", "--from", str(tmp_path / "stick")]):
        assert edgectl.main(["update", *args, "--updater", str(tmp_path / "none")]) == 3
        assert "edged-update.service" in capsys.readouterr().err


async def test_a_stick_that_is_not_there_is_exit_code_2(tmp_path):
    assert edgectl.main(["update", "apply", "--from", str(tmp_path / "none"), "--updater", str(tmp_path / "u")]) == 2


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
