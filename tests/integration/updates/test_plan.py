"""What ``edge-publish plan`` computes is what a device really fetches."""

import json

import pytest

from edged.errors import HostUnreachableError
from edged.ids import ModelName, Version
from edged.publish.main import main
from edged.publish.planning.repository import metadata_of, read_manifest, sizes_of
from edged.publish.planning.traffic import machines_of
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree
from edged.update.traffic.spent import read_spent
from tests.fakes.static_host import Fault
from tests.fakes.updates import THREE_CHUNKS, blob_path, unlimited_traffic

DEMO = ModelName("demo")


def planned(publisher, version, held=None):
    tree = Tree(publisher.root)
    state = read_state(tree)
    manifests = [
        None if text is None else read_manifest(tree, state, DEMO, Version.parse(text)) for text in (version, held)
    ]
    (machine,) = machines_of(manifests[0], {"amd64": 1.0}, held=manifests[1], sizes=sizes_of(tree))
    return sum(file.size for file in machine.files)


def test_a_device_fetches_as_many_bytes_of_a_bundle_as_planned(make_device, publisher):
    publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    traffic = unlimited_traffic()
    with make_device(traffic=traffic) as it:
        it.poll()
        assert traffic.bundle_bytes == planned(publisher, "1.0.0")

        publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
        before = traffic.bundle_bytes
        it.poll()

        assert traffic.bundle_bytes - before == planned(publisher, "1.1.0", held="1.0.0")
        # And that is what the device shows its owner.
        (day,) = read_spent(it.layout.spent).days.values()
        assert day == {"demo": traffic.bundle_bytes}


def test_what_came_of_a_bundle_that_did_not_come_whole_is_written_down(make_device, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    web.faults[blob_path(manifest)] = Fault(cut_after=10)
    traffic = unlimited_traffic()
    with make_device(traffic=traffic) as it:
        with pytest.raises(HostUnreachableError):
            it.poll()

        (day,) = read_spent(it.layout.spent).days.values()
        assert day == {"demo": traffic.bundle_bytes}
        assert 0 < traffic.bundle_bytes < THREE_CHUNKS


def test_a_device_fetches_the_metadata_that_was_planned(make_device, publisher, web):
    """Beside those, only the first time: root, targets, and the documents that other models and switches need."""
    publisher.release("1.0.0")
    with make_device() as it:
        it.poll()
        publisher.release("1.1.0")
        web.requests.clear()
        it.poll()

    tree = Tree(publisher.root)
    first, further = metadata_of(tree, read_state(tree), DEMO, Version.parse("1.1.0"))
    assert {download.name for download in further} < {download.name for download in first}
    assert {download.name for download in first} <= set(web.paths())
    assert not {path for path in web.paths() if path.startswith(("metadata/", "targets/"))} - {
        *(download.name for download in first),
        "metadata/2.root.json",
    }


def plan(publisher, *options):
    return main(["plan", str(publisher.root), "demo", "1.1.0", "--devices", "1000", *options])


@pytest.fixture
def released(publisher):
    publisher.release("1.0.0")
    publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    return publisher


def test_a_plan_is_printed_for_people(released, capsys):
    assert plan(released, "--price-per-gb", "0.10", "--updates-per-month", "2") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "demo 1.1.0 to 1000 devices (assumed: as many of each processor)"
    steps = [line.split()[:3] for line in lines if "%" in line and "COST" not in line][2:]
    assert [step[0] + step[1] + step[2] for step in steps] == ["1%10", "10%90", "25%150", "50%250", "100%500"]
    assert "51565 polls of each device" in "\n".join(lines)


def test_a_plan_is_printed_for_programs(released, capsys):
    assert plan(released, "--json", "--from", "1.0.0", "--mix", "amd64=1,arm64=3", "--price-per-gb", "1") == 0

    document = json.loads(capsys.readouterr().out)
    assert {machine["arch"]: machine["share"] for machine in document["machines"]} == {"amd64": 0.25, "arm64": 0.75}
    rollout = document["rollout"]
    assert rollout["bytes"] == sum(step["bundle_bytes"] + step["metadata_bytes"] for step in document["steps"])
    assert rollout["cost"] == pytest.approx(rollout["bytes"] / 1e9)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["demo", "9.9.9", "--devices", "1"], 5),
        (["other", "1.0.0", "--devices", "1"], 5),
        (["demo", "1.1.0", "--devices", "1", "--mix", "amd64"], 2),
        (["demo", "1.1.0", "--devices", "1", "--mix", "amd64=0"], 2),
    ],
)
def test_what_cannot_be_planned_is_said(released, arguments, code):
    assert main(["plan", str(released.root), *arguments]) == code


@pytest.mark.parametrize("option", [["--devices", "0"], ["--devices", "1", "--poll-interval", "0"], []])
def test_numbers_that_make_no_sense_are_refused(released, option):
    with pytest.raises(SystemExit) as left:
        main(["plan", str(released.root), "demo", "1.1.0", *option])

    assert left.value.code == 2
