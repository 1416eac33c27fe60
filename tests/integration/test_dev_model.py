"""A developer has a model and five minutes: ``edged dev --model``, from a file to an answer, and to the next version of the file."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edged.cli.edgectl import main as edgectl
from edged.cli.exits import INTERRUPTED, Exit
from edged.client import Client
from edged.dev.__main__ import main
from edged.errors import EdgedError
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.gates import short_directory
from tests.fakes.models import FLOAT, add_model, build, external_data_model, helper
from tests.fakes.services import stop, wait_for
from tests.fakes.static_host import static_host

POLICY = """\
schema = 1
name = "mine"

[[rule]]
name = "my-rule"
then = { variants = ["*"] }
"""
X = np.array([[1, 2, 3, 4]], dtype=np.float32)
FILE = b"Hello, edge"


@contextmanager
def edged_dev(directory, *options):
    """Run ``edged dev`` in a directory, in which it may be run by nobody."""
    command = [sys.executable, "-m", "edged", "dev", "--dir", directory, *options]
    running = subprocess.Popen(
        list(map(str, command)), env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            stop(running)
        running.communicate()


def read_until(stream, text):
    """Return the first line that has a text in it."""
    for line in stream:
        if text in line:
            return line.strip()
    raise AssertionError(f"it ended without saying {text}")


def command_lines():
    """Give the words of each process that there is, as far as they can be seen."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            yield file.read_bytes()


def random_model():
    """Answer something else each time."""
    node = helper.make_node("RandomUniformLike", ["x"], ["y"])
    return build([node], [("x", FLOAT, ["n", 4])], [("y", FLOAT, ["n", 4])]).SerializeToString()


def wide_model():
    """Have many values, and tensors with names that no file can have."""
    names = "in/put:0", "out/put:0"
    shapes = [(name, FLOAT, ["n", 5000]) for name in names]
    return build([helper.make_node("Neg", [names[0]], [names[1]])], shapes[:1], shapes[1:]).SerializeToString()


def unknown_operator():
    node = helper.make_node("Frobnicate", ["x"], ["y"])
    return build([node], [("x", FLOAT, [1])], [("y", FLOAT, [1])]).SerializeToString()


def replace(path, data):
    """Do as exporters that are careful do; those that write in place are looked at again when they have finished."""
    path.with_suffix(".new").write_bytes(data)
    path.with_suffix(".new").replace(path)


def serves(client, model):
    try:
        client.infer(model, {"file": FILE})
    except EdgedError:
        return False
    return True


def add(client):
    return client.infer("add", {"x": X})


@contextmanager
def repository_of(model):
    """Serve a repository with one model; gives the options for following it."""
    with short_directory() as directory:
        repository, keys, now = directory / "repository", Keyring(directory=directory / "keys"), datetime.now(UTC)
        init_repository(repository, keys, now=now, root_count=1, root_threshold=1)
        publish_bundle(repository, make_bundle(directory, name=model), keys, now=now)
        with static_host(repository) as host:
            root = repository / "metadata/1.root.json"
            yield [f"--repository=http://localhost:{host.port}/", f"--root={root}", "--poll-interval=0.5"]


class World:
    """A directory with models, and the process that serves them."""

    def __init__(self, directory) -> None:
        self.device = directory / "device"
        self.file = directory / "add.onnx"
        self.bundle = make_bundle(directory / "bundles")
        self.wide = directory / "wide.onnx"
        self.wide.write_bytes(wide_model())
        self.settings = directory / "further.toml"
        self.file.write_bytes(add_model(1.0))
        self.file.chmod(0o600)  # of others, only the copy can be read
        (directory / "policy.toml").write_text(POLICY)
        self.settings.write_text(f'[policy]\nfile = "{directory}/policy.toml"\n')
        self.socket = str(self.device / "run/edged.sock")


@contextmanager
def open_directory():
    """Make a directory that may be entered by nobody, who runs everything where the developer is root."""
    with short_directory() as directory:
        directory.chmod(0o755)
        yield directory


@pytest.fixture
def place():
    with open_directory() as directory:
        yield directory


@contextmanager
def serving(world):
    """Start the process; gives it, a client, and what was said of each model until all of them answer."""
    files = {"add": world.file, "adder": world.bundle, "wide": world.wide}
    options = [*(f"--model={name}={file}" for name, file in files.items()), f"--config={world.settings}"]
    with edged_dev(world.device, *options) as process, Client(world.socket, tensor_path=None) as client:
        read_until(process.stdout, "socket")
        said = {}
        for _ in files:
            words = read_until(process.stdout, " answers (unsigned").split()
            said[words[0]] = [words[1], *(shlex.split(process.stdout.readline()) for _ in range(2))]
        yield process, client, said


@pytest.fixture(scope="module")
def world():
    with open_directory() as directory:
        yield World(directory)


@pytest.fixture(scope="module")
def running(world):
    """One that all share."""
    with serving(world) as running:
        yield running


@pytest.fixture
def own_world(place):
    """One whose files a test may change: who shares the other may come later."""
    return World(place)


@pytest.fixture
def changing(own_world):
    with serving(own_world) as running:
        yield running


def test_a_file_answers_under_its_name(running):
    _, client, said = running

    assert add(client)["y"].tolist() == [[2, 3, 4, 5]]
    assert said["add"][0] == "0.1.0-local.1"


def test_a_bundle_answers_with_its_steps(running):
    _, client, said = running

    assert client.infer("adder", {"file": FILE})["sum"].item() == adder_answer(FILE)
    assert said["adder"][0] == "1.0.0-local.1"


@pytest.mark.parametrize("model", ["add", "adder", "wide"])
def test_what_is_printed_works_as_it_stands(running, model, capsys):
    _, _, said = running
    _, curl, ask = said[model]

    assert edgectl(ask[1:]) == 0
    assert model in capsys.readouterr().out.splitlines()[1]
    if shutil.which("curl") is not None:
        answer = subprocess.run([*curl, "--silent"], capture_output=True, check=True).stdout
        assert json.loads(answer)["model_name"] == model


def test_a_policy_of_the_developer_decides_about_it(running):
    _, client, _ = running

    assert "my-rule" in add(client).decision


def test_status_and_history_say_that_it_is_local_and_unsigned(running, world, capsys):
    edgectl(["--socket", world.socket, "status"])
    status = capsys.readouterr().out
    edgectl(["--socket", world.socket, "update", "history", "add"])

    assert f"0.1.0-local.1 should run here: unsigned, made of {world.file}" in status
    assert "local file" in read_until(iter(capsys.readouterr().out.splitlines()), "activated")


def test_each_change_of_a_file_is_a_version_that_outlives_the_process(changing, own_world, capsys):
    process, client, _ = changing

    replace(own_world.file, own_world.file.read_bytes())
    assert "add: nothing has changed since 0.1.0-local.1" in read_until(process.stderr, "nothing has changed")

    replace(own_world.file, add_model(2.0))  # no request is lost meanwhile
    wait_for(lambda: add(client)["y"].tolist() == [[3, 4, 5, 6]])
    assert "add 0.1.0-local.2 answers" in read_until(process.stdout, "answers")

    replace(own_world.file, b"half a mod")
    assert f"{own_world.file}: this is no ONNX file" in read_until(process.stderr, "model-unsafe")
    assert "add: 0.1.0-local.2 goes on answering" in read_until(process.stderr, "goes on")

    replace(own_world.file, random_model())  # as on a device, it has to do again what it did
    refusal = read_until(process.stderr, "is refused")
    assert refusal.startswith("add 0.1.0-local.3 is refused: ")
    assert refusal.endswith("0.1.0-local.2 goes on answering")
    assert add(client)["y"].tolist() == [[3, 4, 5, 6]]

    replace(own_world.file, b"half a mod")  # what goes on is not what was made last
    assert "add: 0.1.0-local.2 goes on answering" in read_until(process.stderr, "goes on")

    replace(own_world.file, add_model(5.0))
    assert "add 0.1.0-local.4 answers" in read_until(process.stdout, "answers")
    assert stop(process) == 0

    with repository_of("theirs") as options:
        with edged_dev(own_world.device, f"--model=add={own_world.file}", *options) as process:
            assert "add 0.1.0-local.4 answers" in read_until(process.stdout, "answers")
            wait_for(lambda: serves(client, "theirs"))
            assert client.infer("theirs", {"file": FILE})["sum"].item() == adder_answer(FILE)
            assert add(client)["y"].tolist() == [[6, 7, 8, 9]]

        assert main(["--dir", str(own_world.device), f"--model=theirs={own_world.file}", *options]) == 2
        assert "has a model theirs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint", "expected"),
    [
        (b"\xff\xd8\xff\xe0 a photograph", "this is no ONNX file", Exit.VERIFICATION_FAILED),
        (external_data_model(), "its data is outside the model file", Exit.VERIFICATION_FAILED),
        (unknown_operator(), "Frobnicate", Exit.FAILED),
    ],
    ids=["no model", "data elsewhere", "unknown operator"],
)
def test_what_no_device_could_serve_is_told_before_anything_is_started(place, capfd, content, complaint, expected):
    file = place / "m.onnx"
    file.write_bytes(content)

    code = main(["--dir", str(place / "d"), "--model", f"m={file}"])

    said = capfd.readouterr()
    assert code == expected
    assert f"{file}: " in said.err
    assert complaint in said.err
    assert "\nhint: " in said.err
    assert "socket" not in said.out


def test_what_is_being_made_ends_with_the_process_that_wants_it(world, place):
    with edged_dev(place / "d", f"--model=add={world.file}") as process:
        read_until(process.stderr, "add: trying")
        process.terminate()

        assert process.wait() == INTERRUPTED
        assert [words for words in command_lines() if str(place).encode() in words] == []


def test_a_bundle_of_another_name_is_told_before_anything_is_started(place, capfd):
    bundle = make_bundle(place)

    assert main(["--dir", str(place / "d"), "--model", f"m={bundle}"]) == 2
    assert "is a bundle of model adder" in capfd.readouterr().err
