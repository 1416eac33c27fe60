"""Polls of a device that has everything: what they ask for, and what they still notice. The refresh runs in the test's own process."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import edged
from edged.bundle.manifest import CHUNK_BYTES
from edged.clock import SystemClock
from edged.codec import decode_json
from edged.config.schema import Config, PathsConfig, RepositoryConfig, UpdateConfig
from edged.ops.flags import STOP_SENSITIVE
from edged.ops.standing import Standing
from edged.ops.stop import Stops
from edged.publish.repository.roles import Expiry
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.update.freshness.now import Now
from edged.update.freshness.standing_file import StandingFile
from edged.update.lookout.lookout import Lookout
from edged.update.lookout.question import Question
from edged.update.refresh.bundles import CHECK_EVERY_S
from edged.update.refresh.finding import find
from edged.update.service.poller import Poller
from tests.fakes.clocks import ManualClock
from tests.fakes.fleets import Operator
from tests.fakes.repositories import Publisher, make_files, make_manifest
from tests.fakes.static_host import Fault
from tests.fakes.updates import THREE_CHUNKS, Reports, blob_path
from tests.fakes.waits import real_waits

TIMESTAMP = "metadata/timestamp.json"
HOUR_S = 3600.0
LASTING = Expiry(timestamp_days=30, snapshot_days=30)


class Device:
    """A poller with everything real but its clock and the process of its refreshes."""

    def __init__(self, web, gate, store, root, waits):
        self.web = web
        self.clock = ManualClock(unix_s=datetime.now(UTC).timestamp())
        self.layout = StoreLayout(store)
        self.reports = Reports()
        config = Config(
            repository=RepositoryConfig(url=web.url, root=str(root)),
            paths=PathsConfig(store=str(store), gate_socket=str(gate.path)),
            update=UpdateConfig(disk_reserve_bytes=0),
        )
        self.question = Question(url=web.url, gate=gate.path, timeout_s=10.0, waits=waits, clock=SystemClock())
        self.lookout = Lookout(question=self.question, poll_interval_s=60.0, monotonic_s=self.clock.monotonic_s)
        self.poller = Poller(
            config=config,
            lookout=self.lookout,
            refresh=lambda task, report, _watch: find(task, self.clock, report, on_answer=lambda: None),
            now_unix_s=Now(clock=self.clock, package=Path(edged.__file__), layout=self.layout).unix_s,
            saw_fresh=StandingFile(self.layout.standing).saw_fresh,
        )

    def poll(self, *, is_asked_for=False):
        """Poll, and return what was found and what was asked for."""
        self.web.requests.clear()
        self.reports.clear()
        found = self.poller.poll(self.reports, is_asked_for=is_asked_for)
        return found, self.web.paths()

    def model(self, version="1.0.0"):
        return self.layout.bundles / "demo" / version / "model.onnx"


@pytest.fixture
def publisher(tmp_path):
    """Whose metadata lasts longer than a device waits before it looks at its disk again."""
    return Publisher(tmp_path / "publisher", expiry=LASTING)


@pytest.fixture
def it(tmp_path, web, gate, publisher):
    with real_waits() as waits:
        made = Device(web, gate, tmp_path / "store", publisher.root_metadata, waits)
        yield made
        made.question.close()


def test_idle_poll_is_one_request_that_the_host_confirms(it, publisher, web):
    publisher.release("1.0.0")
    found, _ = it.poll()
    assert it.model().is_file()
    assert it.poll() == (found, [TIMESTAMP])

    assert [it.poll() for _ in range(3)] == [(found, [TIMESTAMP])] * 3

    assert web.unchanged == 3
    assert it.reports == []


def test_new_release_is_fetched_at_the_next_poll(it, publisher):
    publisher.release("1.0.0")
    it.poll()
    it.poll()
    publisher.release("1.1.0")

    found, _ = it.poll()

    assert found.failure is None
    assert it.model("1.1.0").is_file()
    assert it.poll() == (found, [TIMESTAMP])


def test_unchanged_metadata_that_expires_is_noticed(it, publisher):
    """A host that is frozen in time can confirm for ever that nothing has changed."""
    publisher.release("1.0.0")
    it.poll()
    it.clock.advance(31 * 24 * HOUR_S)

    found, _ = it.poll()

    assert found.failure.code == "metadata-expired"
    assert "resign" in found.failure.hint
    assert it.model().is_file()


def test_expiry_is_judged_by_the_newest_signed_time_when_the_clock_is_lost(it, publisher):
    """A clock that falls back to 1970 makes nothing valid again, and nothing expired."""
    publisher.release("1.0.0")
    found, _ = it.poll()
    it.clock.advance(10.0 - it.clock.unix_s())

    assert it.poll() == (found, [TIMESTAMP])


@pytest.mark.parametrize("role", ["root", "targets", "model", "ops", "snapshot", "timestamp"])
def test_first_metadata_to_expire_counts(it, tmp_path, web, publisher, role):
    """Whichever it is, and before the bundle is due to be hashed."""
    short = Publisher(tmp_path / "short", expiry=replace(LASTING, **{f"{role}_days": 1}))
    short.release("1.0.0")
    web.root = short.root
    publisher.root_metadata.write_bytes(short.root_metadata.read_bytes())
    it.clock.advance(HOUR_S)
    assert it.poll()[0].failure is None
    it.clock.advance(22 * HOUR_S)
    assert it.poll()[1] == [TIMESTAMP]
    it.clock.advance(1.5 * HOUR_S)

    assert it.poll()[0].failure.code == "metadata-expired"


def test_unfinished_download_is_tried_again_at_each_poll(it, publisher, web):
    manifest = publisher.release("1.0.0", model_bytes=THREE_CHUNKS)
    web.faults[blob_path(manifest)] = Fault(status=404)
    for _ in range(2):
        found, asked = it.poll()
        assert (found.failure.code, found.settled) == ("file-missing", None)
        assert blob_path(manifest) in asked

    web.heal()

    assert it.poll()[0].failure is None
    assert it.model().is_file()
    assert it.poll()[1] == [TIMESTAMP]


def test_host_that_goes_away_is_named_and_asked_in_full_when_it_is_back(it, publisher, web):
    publisher.release("1.0.0")
    it.poll()
    web.faults[TIMESTAMP] = web.faults["metadata/2.root.json"] = Fault(status=500)
    found, _ = it.poll()
    assert found.failure.code == "fetch-failed"

    web.heal()

    assert it.poll()[0].failure is None
    assert it.poll()[1] == [TIMESTAMP]


def test_bundle_that_fits_no_machine_like_this_is_looked_at_once(it, publisher):
    """Only a new release can mend it."""
    other = "arm64" if read_machine().arch == "amd64" else "amd64"
    files = make_files()
    publisher.publish(make_manifest(files, arch=(other,)), files)
    found, _ = it.poll()
    assert found.failure.code == "bundle-incompatible"
    assert found.failure.describe().startswith("demo 1.0.0: ")

    assert it.poll() == (found, [TIMESTAMP])

    publisher.release("1.0.1")
    assert it.poll()[0].failure is None


def test_bundle_is_hashed_again_after_a_day(it, publisher):
    """Not before, and not right after it was staged, when every file has just been hashed."""
    publisher.release("1.0.0")
    it.poll()
    good = it.model().read_bytes()
    it.model().chmod(0o644)
    it.model().write_bytes(bytes(len(good)))
    it.clock.advance(CHECK_EVERY_S - 10)
    assert it.poll()[1] == [TIMESTAMP]
    it.poll(is_asked_for=True)
    assert it.model().read_bytes() != good

    it.clock.advance(20)
    it.poll()

    assert it.model().read_bytes() == good
    assert it.poll()[1] == [TIMESTAMP]


def test_bundle_that_was_hashed_in_the_future_is_hashed_again_once_the_clock_is_right(it, publisher):
    """A clock that was ahead when the bundle came must not put that off for as long as it was."""
    it.clock.jump(CHECK_EVERY_S)
    publisher.release("1.0.0")
    it.poll()
    good = it.model().read_bytes()
    it.model().chmod(0o644)
    it.model().write_bytes(bytes(len(good)))

    it.clock.jump(-CHECK_EVERY_S)
    it.poll(is_asked_for=True)

    assert it.model().read_bytes() == good


def test_poll_that_somebody_asked_for_looks_at_the_store_as_well(it, publisher):
    publisher.release("1.0.0")
    it.poll()
    it.model().unlink()
    assert it.poll()[1] == [TIMESTAMP]

    it.poll(is_asked_for=True)

    assert it.model().is_file()


def test_store_that_cannot_be_used_is_a_failure(it, publisher):
    publisher.release("1.0.0")
    it.layout.root.write_bytes(b"not a directory")

    assert it.poll()[0].failure.code == "store-failed"


def test_unforeseen_error_is_a_failure_and_what_was_checked_is_kept(it, publisher, caplog):
    publisher.release("1.0.0")
    found, _ = it.poll()

    def report(phase, progress=None):
        raise ZeroDivisionError("oops")

    broken = it.poller.poll(report, is_asked_for=True)

    assert broken.failure.code == "internal"
    assert "oops" in broken.failure.message
    assert broken.checked_unix_s == found.checked_unix_s
    assert "ZeroDivisionError" in caplog.text


def test_part_of_a_bundle_that_came_is_told_once(it, publisher, web):
    """Neither what is wrong counts, nor what was here before."""
    path = blob_path(publisher.release("1.0.0", model_bytes=THREE_CHUNKS))
    web.alter(path, CHUNK_BYTES + 5)  # the second of three chunks never comes right

    found, _ = it.poll()
    assert found.failure.code == "digest-mismatch"
    assert found.has_brought

    found, paths = it.poll(is_asked_for=True)
    assert path in paths
    assert not found.has_brought


def test_interrupted_check_goes_on_where_it_was(it, publisher, web):
    """What was hashed before the host went away is not hashed again."""
    publisher.release("1.0.0", name="aaa")
    publisher.release("1.0.0", name="zzz")
    it.poll()
    it.clock.advance(CHECK_EVERY_S + 1)
    changed = publisher.release("1.0.1", name="zzz", model_bytes=THREE_CHUNKS)
    web.faults[blob_path(changed)] = Fault(cut_after=10)
    found, _ = it.poll()
    assert found.failure.code == "host-unreachable"
    hashed_at_s = it.clock.unix_s()
    assert hashed_at_s in found.checked_unix_s.values()
    it.clock.advance(100.0)

    web.heal()
    found, _ = it.poll()

    assert sorted(found.checked_unix_s.values()) == [hashed_at_s, hashed_at_s + 100.0]
    assert it.poll()[1] == [TIMESTAMP]


def test_devices_where_a_stop_is_expected_poll_every_five_seconds(it, publisher):
    """For as long as the flag is on here; also when the host goes away meanwhile."""
    publisher.release("1.0.0")
    operator = Operator(publisher)
    it.poll()
    assert it.lookout.interval_s == 60.0

    operator.set_flags({STOP_SENSITIVE: {"default": True}})
    it.poll()
    assert it.lookout.interval_s == 5.0
    it.web.faults[TIMESTAMP] = Fault(status=500)
    it.poll(is_asked_for=True)
    assert it.lookout.interval_s == 5.0

    it.web.heal()
    operator.set_flags({STOP_SENSITIVE: {"default": True, "rules": [{"value": False}]}})
    it.poll()
    assert it.lookout.interval_s == 60.0


def test_idle_polls_keep_the_repository_fresh(it, publisher):
    """A lease does not run out on a device whose host confirms, and it is not renewed on one whose host is away."""
    publisher.release("1.0.0")
    it.poll()
    it.clock.advance(HOUR_S)
    it.poll()
    assert seen_s(it) == it.clock.unix_s()
    before = seen_s(it)

    it.clock.advance(HOUR_S)
    it.web.faults[TIMESTAMP] = it.web.faults["metadata/2.root.json"] = Fault(status=500)
    it.poll()

    assert seen_s(it) == before


def seen_s(it):
    return decode_json(Standing, it.layout.standing.read_bytes(), source="standing").seen_unix_s


def test_stop_that_was_published_twice_in_a_row_is_obeyed_as_it_was_last(it, publisher):
    publisher.release("1.0.0")
    operator = Operator(publisher)
    it.poll()
    operator.stop("demo", serial=1)
    operator.stop(serial=2)

    it.poll()

    assert decode_json(Stops, it.layout.stop.read_bytes(), source="stop").models == {}


def test_broken_document_is_looked_at_once(it, publisher):
    """Only its publisher can mend it."""
    publisher.release("1.0.0")
    Operator(publisher).sign("ops/flags.json", b"no flags")
    found, _ = it.poll()
    assert (found.failure.code, found.failure.subject) == ("document-invalid", "ops/flags.json")

    assert it.poll() == (found, [TIMESTAMP])
