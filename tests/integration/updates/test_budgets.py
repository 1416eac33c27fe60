"""Bundles that have to wait for bytes they may cost: what still comes, what is said, and that they come in the end."""

from datetime import UTC, datetime

import pytest

from edged.bundle.manifest import CHUNK_BYTES
from edged.config.schema import Config, PathsConfig, RepositoryConfig, UpdateConfig
from edged.update.protocol.messages import Task
from edged.update.refresh.bundles import METERED_S
from edged.update.refresh.finding import find
from edged.update.traffic.ledger import DAY_S, LedgerFile, read_moment
from tests.fakes.clocks import ManualClock
from tests.fakes.fleets import Operator
from tests.fakes.gates import running_gate
from tests.fakes.static_host import Fault
from tests.fakes.updates import Reports, blob_path

MIB = 1 << 20
SLACK = 50_000
"""What heads, requests and metadata take."""


class Device:
    """Whatever process refreshes it, and whenever it is booted: everything is on its disk."""

    def __init__(self, directory, publisher, web):
        self.store = directory / "store"
        self.publisher, self.web = publisher, web
        self.clock = ManualClock(unix_s=datetime.now(UTC).timestamp())
        self.reports = Reports()

    def refresh(self, *, is_metered=None, **update):
        """Run a refresh, and return what it found and how many bytes crossed the gate."""
        self.reports.clear()
        with running_gate(allow_private=[f"{self.web.name}:{self.web.port}"], is_metered=is_metered) as gate:
            config = Config(
                repository=RepositoryConfig(url=self.web.url, root=str(self.publisher.root_metadata)),
                paths=PathsConfig(store=str(self.store), gate_socket=str(gate.path)),
                update=UpdateConfig(**{"disk_reserve_bytes": 0, "timeout_s": 60.0, **update}),
            )
            found = find(Task(config=config, checked_unix_s={}), self.clock, self.reports, on_answer=lambda: None)
        return found, gate.gate.counters.relayed_bytes

    def has(self, version):
        return (self.store / "bundles/demo" / version / "manifest.json").is_file()


@pytest.fixture
def it(tmp_path, publisher, web):
    return Device(tmp_path, publisher, web)


def test_refresh_stops_at_its_limit_and_the_next_ones_bring_the_rest(it, publisher):
    """Nothing that came whole is fetched twice."""
    publisher.release("1.0.0", model_bytes=7 * MIB)

    carried = []
    for _ in range(8):
        found, carried_bytes = it.refresh(max_bytes=3 * MIB)
        carried.append(carried_bytes)
        if it.has("1.0.0"):
            break
        assert found.failure is None
        assert (found.deferred.cause, found.deferred.until) == ("max-bytes", None)
        # The next poll goes on; what was signed may be a second ahead.
        assert found.settled.due_unix_s <= it.clock.unix_s() + 2

    assert it.has("1.0.0")
    assert found.deferred is None
    assert found.staged == ("demo 1.0.0",)
    assert 3 <= len(carried) <= 4
    assert max(carried) <= 3 * MIB + SLACK


def test_day_has_its_limit_over_all_refreshes_and_says_until_when(it, publisher):
    publisher.release("1.0.0", model_bytes=7 * MIB)

    found, first = it.refresh(max_bytes_per_day=4 * MIB)
    assert 3 * MIB <= first <= 4 * MIB + SLACK
    assert found.failure is None
    assert found.deferred.cause == "max-bytes-per-day"
    assert found.deferred.until == pytest.approx(it.clock.unix_s() + DAY_S, abs=60)
    assert found.settled.due_unix_s <= found.deferred.until

    again, second = it.refresh(max_bytes_per_day=4 * MIB)
    assert again.deferred.cause == "max-bytes-per-day"
    assert second < 100_000  # what the metadata takes


def test_host_that_knows_no_ranges_is_cut_off(it, publisher, web):
    """It sends the whole file from its beginning, each time."""
    web.ignores_range = True
    publisher.release("1.0.0", model_bytes=7 * MIB)

    found, _ = it.refresh(max_bytes=3 * MIB)

    assert found.deferred.cause == "max-bytes"
    progress = [progress for _, progress in it.reports if progress is not None]
    assert 2 * MIB <= progress[-1].received_bytes <= 3 * MIB


def test_documents_come_although_the_day_is_used_up(it, publisher):
    publisher.release("1.0.0", model_bytes=7 * MIB)
    it.refresh(max_bytes_per_day=2 * MIB)
    Operator(publisher).stop("demo", serial=1)

    found, _ = it.refresh(max_bytes_per_day=2 * MIB)

    assert found.failure is None
    assert (it.store / "ops/stop.json").is_file()


def test_bundles_wait_while_bytes_cost_money_and_documents_do_not(it, publisher, web):
    manifest = publisher.release("1.0.0")
    Operator(publisher).stop("demo", serial=1)

    # What was fetched last ends its connection: what the gate said with it still counts.
    (last,) = (publisher.root / "targets/models/demo/1.0.0").iterdir()
    web.faults[str(last.relative_to(publisher.root))] = Fault(fields=(("Connection", "close"),))

    found, _ = it.refresh(is_metered=True, metered="wait")

    assert found.failure is None
    assert found.deferred.cause == "metered"
    assert found.settled.due_unix_s == pytest.approx(it.clock.unix_s() + METERED_S, abs=2)
    assert (it.store / "ops/stop.json").is_file()
    assert blob_path(manifest) not in web.paths()

    found, _ = it.refresh(is_metered=False, metered="wait")
    assert found.deferred is None
    assert it.has("1.0.0")


@pytest.mark.parametrize(("is_metered", "metered"), [(True, "fetch"), (None, "wait")])
def test_bundles_come_where_that_is_allowed_or_nobody_knows(it, publisher, is_metered, metered):
    publisher.release("1.0.0")

    it.refresh(is_metered=is_metered, metered=metered)

    assert it.has("1.0.0")


def test_nothing_is_put_off_when_everything_is_here(it, publisher):
    publisher.release("1.0.0")
    it.refresh()

    found, _ = it.refresh(is_metered=True, metered="wait", max_bytes_per_day=1)

    assert found.deferred is None


def test_ledger_has_what_came_and_no_more(it, publisher):
    """Portions are taken in advance; what is left of the last one is given back."""
    publisher.release("1.0.0", model_bytes=2 * MIB)

    it.refresh(max_bytes_per_day=320 * MIB)

    ledger = LedgerFile(it.store / "ledger.json", lambda: read_moment(it.clock.unix_s()))
    assert 2 * MIB <= ledger.spent_bytes() <= 2 * MIB + SLACK


def test_ledger_is_written_only_where_a_day_has_a_limit(it, publisher):
    publisher.release("1.0.0")

    it.refresh(max_bytes=100 * MIB)

    assert not (it.store / "ledger.json").exists()


def test_progress_says_which_of_how_many_and_where_from(it, publisher):
    publisher.release("1.0.0", model_bytes=2 * CHUNK_BYTES)
    publisher.release("1.0.0", name="other")

    it.refresh()

    progress = [progress for _, progress in it.reports if progress is not None]
    assert {(one.model, one.number, one.count) for one in progress} == {("demo", 1, 2), ("other", 2, 2)}
    assert {one.source for one in progress} == {"", "host"}
    assert progress[-1].received_bytes == progress[-1].total_bytes


def test_progress_says_how_fast_and_how_long_still(it, publisher):
    """One chunk a second, by the clock that rates are counted with."""
    publisher.release("1.0.0", model_bytes=8 * CHUNK_BYTES)

    class Slow(Reports):
        received = 0

        def __call__(self, phase, progress=None):
            super().__call__(phase, progress)
            if progress is not None and progress.received_bytes >= self.received + CHUNK_BYTES:
                self.received = progress.received_bytes
                clock.advance(1.0)

    it.reports, clock = Slow(), it.clock

    it.refresh()

    timed = [progress for _, progress in it.reports if progress is not None and progress.bytes_per_s is not None]
    assert timed[0].left_s > timed[-1].left_s
    for progress in timed:
        left = progress.total_bytes - progress.received_bytes
        assert progress.left_s == pytest.approx(left / progress.bytes_per_s)
    # What came before the clock first moved counts as well.
    assert timed[-1].bytes_per_s == pytest.approx(CHUNK_BYTES, rel=0.4)
