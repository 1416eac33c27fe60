"""The fleet's documents on their way into the store: what comes first, and what may replace what."""

from datetime import UTC, datetime, timedelta

import pytest

from edged.codec import decode_json
from edged.errors import DigestMismatchError, DocumentError, HostUnreachableError, MetadataRollbackError, StoreError
from edged.ops.stop import Stops
from edged.update.protocol.messages import Trusted
from tests.fakes.fleets import Operator, issued
from tests.fakes.static_host import Fault
from tests.fakes.updates import THREE_CHUNKS, blob_path


@pytest.fixture
def operator(publisher):
    publisher.release("1.0.0")
    return Operator(publisher, "demo")


def stopped(it):
    return set(decode_json(Stops, it.layout.stop.read_bytes(), source="stop").models)


def test_repository_without_anything_published_is_no_failure(it):
    summary = it.poll()

    assert (summary.staged, summary.undone) == ((), ())
    assert sorted(path.name for path in it.layout.ops.iterdir()) == ["standing.json"]


def test_every_document_is_kept_as_it_was_signed(it, operator):
    signed = {
        "stop": operator.stop("other", serial=1),
        "flags": operator.set_flags({"night": {"default": True}}),
        "policy": operator.sign("ops/policy.json", {"schema": 1, "issued": issued()}),
        "rollout": operator.roll_out({"demo": {"version": "1.0.0"}}),
    }

    assert it.poll().undone == ()

    assert {name: (it.layout.ops / f"{name}.json").read_bytes() for name in signed} == signed


def test_stop_is_in_the_store_before_anything_else_is_fetched(it, operator, web):
    """Whatever of the rest is slow, missing or broken."""
    operator.stop("demo", serial=1)
    operator.set_flags({})
    seen = []
    real = web.find_body
    web.find_body = lambda path: (seen.append((path, it.layout.stop.is_file())), real(path))[1]

    it.poll()

    after = [path for path, is_there in seen if is_there]
    before = [path for path, is_there in seen if not is_there]
    assert before[-1].endswith("stop.json")
    assert [path for path in before if ".ops." in path or "m-demo" in path or path.startswith("blobs/")] == []
    assert any(".ops." in path for path in after)


def test_stop_comes_although_everything_else_of_the_repository_is_broken(it, operator, publisher, web):
    operator.stop("demo", serial=1)
    for role in ("ops", "m-demo"):
        web.truncate(publisher.metadata(role), 20)

    it.poll()

    assert stopped(it) == {"demo"}


def test_host_that_goes_away_after_the_stop_has_stopped_the_model(it, operator, publisher, web):
    operator.stop("demo", serial=1)
    web.faults[publisher.metadata("ops")] = Fault(cut_after=5)

    with pytest.raises(HostUnreachableError):
        it.poll()

    assert stopped(it) == {"demo"}


@pytest.mark.parametrize("serial", [6, 7])
def test_stop_is_lifted_only_by_a_higher_serial(it, operator, serial):
    """Also by somebody who has the keys of the role, and lets TUF's own versions grow."""
    operator.stop("demo", serial=7)
    it.poll()

    operator.stop(serial=serial)
    (undone,) = it.poll().undone

    assert isinstance(undone.error, MetadataRollbackError)
    assert (undone.subject, undone.is_for_publisher) == ("stop/stop.json", True)
    assert stopped(it) == {"demo"}

    operator.stop(serial=8)
    assert it.poll().undone == ()
    assert stopped(it) == set()


def test_stop_that_is_left_out_stays(it, operator):
    operator.stop("demo", serial=1)
    it.poll()

    operator.withdraw("stop/stop.json")

    assert it.poll().undone == ()
    assert stopped(it) == {"demo"}


def test_repository_that_lists_no_rollout_any_more_leaves_the_last_one(it, operator):
    it.poll()
    before = it.layout.rollout.read_bytes()

    operator.withdraw("ops/rollout.json")

    assert it.poll().undone == ()
    assert it.layout.rollout.read_bytes() == before


BROKEN = {
    "newer schema": {"schema": 2, "issued": issued(), "flags": {}},
    "unknown key": {"schema": 1, "issued": issued(), "flags": {}, "more": 1},
    "no JSON": b"flags",
    "no such day": {"schema": 1, "issued": "2026-02-31T00:00:00Z", "flags": {}},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_document_that_does_not_read_well_leaves_the_last_good_one_and_stops_no_other(it, operator, broken):
    before = operator.set_flags({"night": {"default": True}})
    it.poll()
    operator.sign("ops/flags.json", BROKEN[broken])
    operator.stop("demo", serial=1)
    rollout = operator.roll_out({})

    (undone,) = it.poll().undone

    assert isinstance(undone.error, DocumentError)
    assert (undone.subject, undone.is_for_publisher) == ("ops/flags.json", True)
    assert it.layout.flags.read_bytes() == before
    assert stopped(it) == {"demo"}
    assert it.layout.rollout.read_bytes() == rollout


def test_document_from_the_future_is_refused(it, operator):
    """Its date becomes the clock of a device without one, and would make all metadata look expired for ever."""
    operator.stop("demo", serial=1, at=datetime.now(UTC) + timedelta(days=365))

    (undone,) = it.poll().undone

    assert "/issued" in undone.error.message
    assert not it.layout.stop.exists()


def test_document_that_the_host_altered_is_no_affair_of_the_publisher(it, operator, publisher, web):
    operator.set_flags({})
    (path,) = (publisher.root / "targets/ops").glob("*.flags.json")
    web.alter(str(path.relative_to(publisher.root)), 5)

    (undone,) = it.poll().undone

    assert isinstance(undone.error, DigestMismatchError)
    assert not undone.is_for_publisher
    web.heal()
    assert it.poll().undone == ()


def test_document_that_the_disk_lost_or_changed_is_fetched_again(it, operator):
    data = operator.stop("demo", serial=3)
    it.poll()
    for damage in (b"", b"{}", b"x" * (1 << 20)):
        it.layout.stop.write_bytes(damage)
        assert it.poll().undone == ()
        assert it.layout.stop.read_bytes() == data
    it.layout.stop.unlink()

    it.poll()

    assert it.layout.stop.read_bytes() == data


def test_document_that_cannot_be_written_is_a_failure_and_stops_no_other(it, operator):
    operator.set_flags({})
    it.layout.flags.mkdir()

    (undone,) = it.poll().undone

    assert isinstance(undone.error, StoreError)
    assert (undone.subject, undone.is_for_publisher) == ("ops/flags.json", False)
    assert it.installed() == ["demo/1.0.0"]


def test_documents_that_did_not_change_are_not_fetched_again(it, operator, web):
    operator.stop("demo", serial=1)
    operator.set_flags({})
    it.poll()
    web.requests.clear()

    it.poll()

    assert web.paths() == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_timestamp_is_told_before_the_first_document_is_fetched(it, operator, web):
    """From then on the updater looks whether the host has a newer one."""
    operator.stop("demo", serial=1)
    seen = []

    it.refresh.run(it.reports, tell=lambda milestone: seen.append((milestone, web.paths()[-1])))

    milestone, path = seen[0]
    assert milestone == Trusted(timestamp=(it.layout.metadata / "timestamp.json").read_bytes())
    assert path.endswith("targets.json")


def test_bits_wait_for_a_flag_but_are_brought_before(it, operator, publisher, web):
    """What is decided by flags here decides what runs; what is brought is the rollout's."""
    later = publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    since = issued()
    operator.roll_out(
        {
            "demo": {
                "version": "1.0.0",
                "next": {"id": "a", "version": "1.1.0", "percent": 100, "flag": "go", "since": since},
            }
        }
    )

    it.poll()

    assert it.installed() == ["demo/1.0.0", "demo/1.1.0"]
    assert blob_path(later) in web.paths()


def test_halted_version_is_not_brought(it, operator, publisher, web):
    later = publisher.release("1.1.0")
    going_out = {"id": "a", "version": "1.1.0", "percent": 100, "halted": True, "since": issued()}
    operator.roll_out({"demo": {"version": "1.0.0", "next": going_out}})

    it.poll()

    assert it.installed() == ["demo/1.0.0"]
    assert blob_path(later) not in web.paths()


def test_device_that_is_not_in_the_cohort_brings_what_everybody_has(it, operator, publisher):
    publisher.release("1.1.0")
    operator.roll_out(
        {"demo": {"version": "1.0.0", "next": {"id": "a", "version": "1.1.0", "percent": 0, "since": issued()}}}
    )

    it.poll()

    assert it.installed() == ["demo/1.0.0"]
