"""What the fleet's documents mean on a device: always the last good ones, whatever becomes of the store."""

import shutil
from contextlib import closing

import pytest

from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fleet import Fleet
from edged.errors import StoreError
from edged.ids import ModelName, Version
from edged.ops.segments import Device
from edged.store.history import Happening
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from tests.fakes.clocks import ManualClock
from tests.fakes.store_documents import REASON, StoreDocuments

ADDER = ModelName("adder")
ONE = Version(1, 0, 0)
HOUR_S = 3600.0
DEVICE = Device(id="d", arch="amd64", labels={"region": "eu"})


class Site:
    """A store and a state.db that outlive any number of starts, and the clocks of a machine."""

    def __init__(self, directory) -> None:
        self.layout = StoreLayout(directory / "store")
        self.layout.ops.mkdir(parents=True, exist_ok=True)
        self.documents = StoreDocuments(self.layout)
        self.clock = ManualClock()
        self.changes = 0
        self._path = directory / "state.db"
        self._open()

    def _open(self) -> None:
        self.state = StateDb.open(self._path)
        self.diary = Diary(self.state, self.clock.unix_s)
        self.fleet = Fleet(
            layout=self.layout, state=self.state, diary=self.diary, device=DEVICE, clock=self.clock,
            now_s=self.clock.monotonic_s,
        )  # fmt: skip
        self.fleet.on_change(self._note)

    def _note(self) -> None:
        self.changes += 1

    async def restart(self) -> None:
        """End, with everything written down, and start again."""
        await self.diary.write()
        self.state.close()
        self._open()

    def pass_s(self, seconds: float) -> None:
        """Let time pass, in which the fleet looks at its documents every ten seconds as ever."""
        for _ in range(int(seconds / 600)):
            self.clock.advance(600)
            self.fleet.look()

    async def history(self):
        await self.diary.write()
        return [(entry.what, entry.reason) for entry in reversed(self.state.read_history())]


@pytest.fixture
async def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.state.close()


def stopped(site, version=ONE):
    return site.fleet.stopped(ADDER, version)


async def test_device_without_documents_has_no_orders(site):
    fleet = site.fleet

    assert (list(fleet.models), fleet.flags, fleet.trial, fleet.floor(ADDER)) == ([], {}, None, None)
    assert (fleet.decision(ADDER, active=None), stopped(site), fleet.cause) == (None, None, "no document")


async def test_document_takes_effect_as_soon_as_it_is_looked_at_and_listeners_hear_of_it(site):
    site.documents.stop("adder")
    site.fleet.look()
    found = stopped(site)

    assert (found.reason, found.action, found.source, site.changes) == (REASON, "refuse", "stop", 1)
    assert found.cause.startswith("stop ")
    site.fleet.look()
    assert site.changes == 1


async def test_stop_is_in_force_after_a_restart_although_the_store_is_gone(site):
    site.documents.stop("adder")
    site.fleet.look()
    await site.restart()
    shutil.rmtree(site.layout.root)
    await site.restart()

    assert stopped(site).reason == REASON


@pytest.mark.parametrize(("serial", "is_lifted"), [(6, False), (7, False), (8, True)])
async def test_only_a_higher_serial_lifts_a_stop(site, serial, is_lifted):
    site.documents.stop("adder", serial=7)
    site.fleet.look()
    site.documents.stop(serial=serial)
    site.fleet.look()
    assert (stopped(site) is None) is is_lifted
    await site.restart()
    assert (stopped(site) is None) is is_lifted


@pytest.mark.parametrize(
    "damage", [b"", b"{", b'{"schema": 1}', b"x" * (1 << 19), b'{"schema": 2, "issued": "x"}'], ids=range(5)
)
async def test_document_that_cannot_be_read_changes_nothing_and_is_reported_once(site, damage):
    site.documents.flags(f={"default": True})
    site.documents.stop("adder")
    site.fleet.look()
    for path in (site.layout.stop, site.layout.flags):
        site.documents.write(path, damage)
    site.fleet.look()
    site.layout.flags.touch()
    site.fleet.look()

    assert (stopped(site).reason, site.fleet.flags) == (REASON, {"f": True})
    refused = [reason for what, reason in await site.history() if what is Happening.DOCUMENT_REFUSED]
    # A flags document may be as large as the third of these, and is then merely no JSON.
    assert len(refused) == 2
    await site.restart()
    assert (stopped(site).reason, site.fleet.flags) == (REASON, {"f": True})


async def test_document_that_was_mended_counts_again(site):
    site.documents.write(site.layout.flags, b"{")
    site.fleet.look()
    (line,) = site.fleet.refused("flags")
    assert line.startswith(f"{site.layout.flags}: /: expected a JSON document")
    site.documents.flags(f={"default": 1})
    site.fleet.look()

    assert site.fleet.flags == {"f": 1}
    assert site.fleet.refused("flags") == ()


async def test_document_that_could_not_be_read_for_a_while_is_not_refused_afterwards(site):
    """It is the very file that was read before."""
    site.documents.flags(f={"default": 1})
    site.fleet.look()
    aside = site.layout.flags.with_suffix(".aside")
    site.layout.flags.rename(aside)
    site.layout.flags.mkdir()
    site.fleet.look()
    assert site.fleet.refused("flags")

    site.layout.flags.rmdir()
    aside.rename(site.layout.flags)
    site.fleet.look()
    assert site.fleet.refused("flags") == ()
    assert site.fleet.flags == {"f": 1}


async def test_all_of_a_document_changes_together(site):
    """What is asked while a document is replaced gets the values of the one or of the other."""
    site.documents.flags(a={"default": 1}, b={"default": 1})
    site.fleet.look()
    before = site.fleet.flags
    site.documents.flags(a={"default": 2}, b={"default": 2})
    site.fleet.look()

    assert (before, site.fleet.flags) == ({"a": 1, "b": 1}, {"a": 2, "b": 2})


async def test_change_of_a_flag_is_told_with_both_values_and_what_did_not_change_here_is_not(site):
    site.documents.flags(a={"default": False}, b={"default": 1})
    site.fleet.look()
    us = {"value": True, "segments": [{"labels": {"region": ["us"]}}]}
    eu = {"value": True, "segments": [{"labels": {"region": ["eu"]}}]}
    site.documents.flags(a={"default": False, "rules": [eu]}, c={"default": "x", "rules": [us]})
    site.fleet.look()

    told = [reason for what, reason in await site.history() if what is Happening.FLAG_CHANGED]
    assert told[2:] == ["a: false -> true", "b: 1 -> not there", "c: not there -> x"]


async def test_floor_never_becomes_lower(site):
    site.documents.standing(seen_unix_s=1.0, adder="1.5.0")
    site.fleet.look()
    site.documents.standing(seen_unix_s=2.0, adder="1.4.0")
    site.fleet.look()
    await site.restart()

    assert site.fleet.floor(ADDER) == Version(1, 5, 0)


async def test_rollout_and_policy_are_asked_for_by_the_lifecycle(site):
    site.documents.roll_out(adder="1.1.0")
    site.documents.policy(trial={"min_s": 7}, window={"idle_s": 9})
    site.fleet.look()
    decision = site.fleet.decision(ADDER, active=None)

    assert (list(site.fleet.models), str(decision.run)) == ([ADDER], "1.1.0")
    assert (site.fleet.trial.min_s, site.fleet.window.idle_s) == (7, 9)
    assert site.fleet.cause.startswith("rollout ")


async def test_stop_of_some_versions_leaves_the_others_alone(site):
    site.documents.stop("adder", versions=("1.0.0",))
    site.fleet.look()

    assert stopped(site) is not None
    assert stopped(site, Version(1, 1, 0)) is None


class TestLease:
    """``hours`` without news of the repository."""

    def grant(self, site, *, hours=24, **lease):
        site.documents.stop(leases={"adder": {"hours": hours, **lease}})
        site.documents.standing(seen_unix_s=site.clock.unix_s())
        site.fleet.look()

    async def test_runs_out_when_there_are_no_news_and_is_renewed_by_news(self, site):
        self.grant(site)
        site.pass_s(24 * HOUR_S)
        assert stopped(site) is None
        site.pass_s(600)
        found = stopped(site)
        assert (found.action, found.source) == ("fall-back", "lease")
        assert "24 h" in found.reason

        changes = site.changes
        site.documents.standing(seen_unix_s=site.clock.unix_s())
        site.fleet.look()
        assert stopped(site) is None
        assert site.changes == changes + 1

    async def test_time_in_which_the_device_was_off_counts_from_the_start(self, site):
        self.grant(site)
        await site.diary.write()
        site.state.close()
        site.clock.advance(25 * HOUR_S)
        site._open()

        assert stopped(site).source == "lease"

    async def test_clock_that_jumps_ahead_stops_nothing_that_had_news_just_now(self, site):
        self.grant(site)
        site.clock._unix_offset_s += 1000 * HOUR_S
        site.pass_s(23 * HOUR_S)

        assert stopped(site) is None

    async def test_clock_that_jumps_ahead_after_a_start_gives_time_for_news(self, site):
        """A device without a clock of its own learns how long it was off only when it asks the network."""
        self.grant(site)
        await site.restart()
        site.clock._unix_offset_s += 25 * HOUR_S
        site.clock.advance(10)
        site.fleet.look()
        assert stopped(site) is None
        site.clock.advance(1000)
        site.fleet.look()
        assert stopped(site).source == "lease"

    async def test_reason_that_allows_for_less_goes_first(self, site):
        site.documents.stop("adder", action="fall-back", leases={"adder": {"hours": 1, "action": "refuse"}})
        site.documents.standing(seen_unix_s=site.clock.unix_s())
        site.fleet.look()
        assert stopped(site).source == "stop"
        site.pass_s(2 * HOUR_S)
        assert (stopped(site).source, stopped(site).action) == ("lease", "refuse")


async def test_what_the_disk_does_not_take_is_in_force_all_the_same_and_written_later(site, monkeypatch):
    def refuse(*_arguments, **_options):
        raise StoreError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(StateDb, "write_document", refuse)
        site.documents.stop("adder")
        site.fleet.look()
        assert not await site.diary.write()
        assert stopped(site).reason == REASON
    assert await site.diary.write()
    await site.restart()
    shutil.rmtree(site.layout.root)
    await site.restart()
    assert stopped(site).reason == REASON


async def test_state_that_is_damaged_is_replaced_by_what_the_store_has(tmp_path):
    site = Site(tmp_path)
    site.documents.stop("adder")
    site.fleet.look()
    await site.diary.write()
    site.state.close()
    (tmp_path / "state.db").write_bytes(b"damaged" * 1000)
    site._open()

    with closing(site.state):
        assert stopped(site).reason == REASON
