"""Whatever happens to a device, in whatever order, and wherever it is cut off: it serves what its slots say, and settles in the end."""

import asyncio
import tempfile
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.errors import BackendError, EdgedError, UnavailableError, ValidationFailedError
from edged.ids import Version
from edged.store.slots import ACTIVE_STATES, SlotState
from tests.fakes.daemons import ADDER
from tests.fakes.served_workers import settle
from tests.fakes.small_devices import ANSWER, Cut, SmallDisk, build_bundles

VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where nobody waits for a disk; what survives what is a matter of ``tests/power``."""
RULES = TrialRules(min_s=1000.0, max_s=5000.0, judged_requests=3)
SHADOW = ShadowRules(share=1.0, min_s=500.0, min_requests=3, max_s=4000.0)
SETTLED = {SlotState.EMPTY, SlotState.GOOD, SlotState.FALLBACK, SlotState.BAD}

version = st.sampled_from(VERSIONS)
ACTIONS = st.one_of(
    st.tuples(st.just("roll_out"), version),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
    st.tuples(st.just("cut"), st.integers(0, 6), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("advance"), st.sampled_from([61.0, 1000.0])),
    st.tuples(st.just("lose_worker")),
    st.tuples(
        st.just("find"), version, st.sampled_from([ValidationFailedError("wrong"), UnavailableError("busy"), Cut, None])
    ),
    st.tuples(st.just("rollback")),
    st.tuples(st.just("shadow"), st.sampled_from([SHADOW, SHADOW, ShadowRules()])),
    st.tuples(st.just("ask"), st.integers(1, 5)),
    st.tuples(st.just("ask"), st.just(5)),
    st.tuples(st.just("spoil"), st.sampled_from([None, "answer", "worker", "hang"])),
    st.tuples(st.just("memory"), st.sampled_from([1 << 50, 0])),
    st.tuples(st.just("apply")),
    st.tuples(st.just("floor"), version),
    st.tuples(st.just("window"), st.sampled_from([[], ["mains power"]])),
    st.tuples(st.just("trouble"), st.integers(1, 6)),
    st.tuples(st.just("fill_disk"), st.booleans()),
)


class Walk:
    """A device, and what is done to it."""

    def __init__(self, disk: SmallDisk) -> None:
        self.disk = disk
        self.daemon = None
        self.life = AsyncExitStack()
        self.floor = None
        self.window = []
        self.rules = SHADOW
        self.was_active = None

    async def start(self) -> None:
        """Start until it stays up, as the service manager does."""
        while True:
            try:
                self.daemon = await self.life.enter_async_context(self.disk.start(trial=RULES, shadow=self.rules))
            except Cut:
                self.disk.writes_left = None
                continue
            self.daemon.window.reasons = self.window
            if self.floor is not None:
                self.daemon.orders.floors[ADDER] = self.floor
            self.check()
            return

    async def restart(self) -> None:
        await self.life.aclose()
        self.disk.writes_left = None
        await self.start()

    async def do(self, name, *values) -> None:
        try:
            with suppress(EdgedError):
                await getattr(self, name)(*values)
            await settle()
        except Cut:
            await self.restart()
        self.check()

    async def roll_out(self, version) -> None:
        self.disk.roll_out(version)

    async def look(self) -> None:
        await self.daemon.lifecycle.look()

    async def cut(self, writes, is_after) -> None:
        self.disk.writes_left, self.disk.is_cut_after = writes, is_after

    async def stop(self) -> None:
        await self.daemon.lifecycle.end_cleanly()
        await self.restart()

    async def advance(self, seconds) -> None:
        self.daemon.clock.advance(seconds)

    async def lose_worker(self) -> None:
        served = self.daemon.serving.served.get(ADDER)
        if served is not None and served.worker is not None:
            served.worker.die()

    async def find(self, version, verdict) -> None:
        self.disk.verdicts[version] = verdict

    async def rollback(self) -> None:
        await self.daemon.steering.rollback("adder", reason="wrong", by="operator")

    async def apply(self) -> None:
        await self.daemon.steering.apply("adder", version=None, by="operator")

    async def ask(self, times) -> None:
        for _ in range(times):
            await self.daemon.answer()
            await settle()

    async def shadow_as(self, rules) -> None:
        self.rules = self.daemon.shadow = rules

    async def spoil(self, what) -> None:
        """Have whatever is in the shadow, or was, go wrong, or well again."""
        for worker in self.daemon.starter.in_shadow:
            worker.hangs = what == "hang"
            worker.answer = replace(ANSWER, outputs=()) if what == "answer" else ANSWER
            if what == "worker" and worker.is_usable:
                worker.die()

    async def memory(self, available_bytes) -> None:
        self.daemon.available_bytes = available_bytes

    async def floor_at(self, version) -> None:
        self.floor = self.daemon.orders.floors[ADDER] = Version.parse(version)

    async def window_says(self, reasons) -> None:
        self.window = self.daemon.window.reasons = list(reasons)

    async def trouble(self, times) -> None:
        self.daemon.troubles.extend([BackendError("no process")] * times)

    async def fill_disk(self, is_full) -> None:
        self.daemon.table._state._connection.execute(f"PRAGMA query_only = {int(is_full)}")

    def check(self) -> None:
        """What is true at any time."""
        table, slots = self.daemon.table, self.daemon.slots
        active = [name for name in ("a", "b") if slots[name].state in ACTIVE_STATES]
        assert active == ([] if slots.active is None else [slots.active])
        assert table._state.read_slots().get(ADDER, slots) == slots, "memory and disk say the same"
        content = None if slots.active_slot is None else slots.active_slot.content
        served = self.daemon.serving.served.get(ADDER)
        if served is not None:
            assert content is not None, "nothing answers that no slot names"
            assert served.loadable.bundle.digest == content.digest
            assert served.worker not in self.daemon.starter.in_shadow, "what was in the shadow never answers an app"
        in_shadow = [worker for worker in self.daemon.starter.in_shadow if not worker.is_closed]
        assert len(in_shadow) <= (SlotState.SHADOW in {slots.a.state, slots.b.state}), "nothing is left behind"
        if content is not None:
            assert content.digest not in table.refused, "what was turned down does not answer"
            if content != self.was_active and self.floor is not None and self.was_active is not None:
                assert content.version >= self.floor, "nothing below the floor becomes active"
        if slots.active_slot is not None and slots.active_slot.state is SlotState.TRIAL:
            assert table.trials[ADDER, slots.active].digest == content.digest
        self.was_active = content

    async def settle_down(self) -> None:
        """With nothing in the way any more, everything comes to its end."""
        self.disk.verdicts.clear()
        self.disk.writes_left = None
        self.window = []
        await self.restart()
        for _ in range(8):
            await self.do("look")
            await self.do("advance", 5000.0)
        slots = self.daemon.slots
        assert {slots.a.state, slots.b.state} <= SETTLED
        wanted = self.daemon.lifecycle.wishes.wanted(ADDER)
        may_run = wanted is not None and not self.daemon.lifecycle.wishes.terms(ADDER, ()).complaint(wanted)
        if may_run:
            assert slots.active_slot is not None
            assert slots.active_slot.content.version == wanted
        assert (slots.active is None) == (ADDER not in self.daemon.serving.served)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return build_bundles(tmp_path_factory.mktemp("bundles"), *VERSIONS)


GOOD_FIRST = [("roll_out", "1.0.0"), ("look",), ("advance", 1000.0), ("look",)]
"""What most walks begin with: a device that has a proven version."""
SHADOWED = [*GOOD_FIRST, ("roll_out", "1.1.0"), ("look",)]
"""And some with: one that has a candidate in its shadow."""
SPOILED = [*SHADOWED, ("spoil", "answer"), ("ask", 5)]
WALKS = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from([GOOD_FIRST, SHADOWED, SPOILED, []]),
    st.lists(ACTIONS, max_size=25),
)
NAMES = {"floor": "floor_at", "window": "window_says", "shadow": "shadow_as"}


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(actions=WALKS)
def test_device_serves_what_its_slots_say_and_settles(bundles, actions):
    async def walk_through() -> None:
        with tempfile.TemporaryDirectory(dir=MEMORY) as directory, pytest.MonkeyPatch.context() as monkeypatch:
            disk = SmallDisk(Path(directory), bundles)
            disk.patch(monkeypatch)
            for version in VERSIONS:
                disk.stage(version)
            disk.layout.rollout.unlink()
            walk = Walk(disk)
            await walk.start()
            try:
                for name, *values in actions:
                    await walk.do(NAMES.get(name, name), *values)
                await walk.settle_down()
            finally:
                await walk.life.aclose()

    asyncio.run(walk_through())
