"""What a start reads of a large store, and what it notices: the files of the version that answers are hashed as they are loaded, once."""

from contextlib import closing
from pathlib import Path

import pytest

from edged.bundle.read import read_bundle
from edged.client import Client
from edged.ids import ModelName, Version
from edged.store.slots import SlotState
from edged.store.state import StateDb
from tests.fakes.askers import HELLO
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.live_daemons import live_daemon

ADDER = ModelName("adder")
LARGE_BYTES = 1 << 30
MORE = {"1.0.0": 0.0, "1.1.0": 1000.0}
"""What tells the answers of the versions apart."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bundles")
    return [make_bundle(directory, version=version, more=more) for version, more in MORE.items()]


@pytest.fixture
def device(bundles):
    """A device on which 1.1.0 is active and 1.0.0 is there to fall back to; it is off."""
    with live_daemon() as device:
        device.configure({"trial": {"min_s": 0.0}})
        device.start()
        for number, (version, bundle) in enumerate(zip(MORE, bundles, strict=True), start=1):
            device.install(bundle)
            device.roll_out(ADDER, version)
            device.wait_until(
                lambda number=number: device.log.count("health-passed") == number, f"end of {version}'s trial"
            )
        device.stop()
        yield device


def model_file(device, version):
    bundle = read_bundle(device.layout.bundle(ADDER, Version.parse(version)))
    return bundle.directory / bundle.variants[0].files[0].path


def answer(device):
    """Start the daemon, and return what the model answers and how many bytes its processes had read by then."""
    device.start()
    device.wait_for_model(ADDER)
    with Client(str(device.app_socket), tensor_path=None) as client:
        result = float(client.infer(ADDER, {"file": HELLO})["sum"][0][0])
    processes = {device.process.pid, *device.workers, *device._templates}
    read = [Path(f"/proc/{process}/io").read_text().split("rchar: ")[1].split()[0] for process in processes]
    return result, sum(map(int, read))


def test_start_reads_nothing_of_what_does_not_answer(device):
    """A gibibyte in the slot to fall back to, and as much of another model, delay no answer: the updater hashes them, once a day."""
    other = device.layout.bundles / "other" / "1.0.0" / "model.onnx"
    other.parent.mkdir(parents=True)
    for path in (model_file(device, "1.0.0"), other):
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(LARGE_BYTES)

    result, read_bytes = answer(device)

    assert result == adder_answer(HELLO) + MORE["1.1.0"]
    assert read_bytes < LARGE_BYTES / 4


def test_bit_that_the_disk_flipped_in_the_active_version_is_noticed_and_the_one_before_answers(device):
    path = model_file(device, "1.1.0")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)

    result, _ = answer(device)

    assert result == adder_answer(HELLO) + MORE["1.0.0"]
    assert "hashes to" in device.log
    device.stop()
    with closing(StateDb.open(device.directory / "state.db")) as state:
        active = state.read_slots()[ADDER].active_slot
    assert (str(active.content.version), active.state) == ("1.0.0", SlotState.GOOD)
