"""Background work, whatever happens to it and in whatever order: each request is finished exactly once, in its turn and in its time."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config.schema import BackgroundConfig
from edged.daemon.decisions.holding import LOOK_EVERY_S, Holding
from edged.errors import DeferredError, EdgedError, PolicyDeniedError, UnavailableError
from edged.policy.ask import Ask
from edged.runtime.calls import Call
from tests.fakes.requests import BACKGROUND, Asked, echoes, request_of
from tests.fakes.served_workers import settle

RULES = BackgroundConfig(at_once=3, max_kept=8, max_kept_per_caller=6)
RUN_S = 30.0
ASKS = [Ask(model="a", request_class=BACKGROUND, has_consent=has_consent) for has_consent in (False, True)]
HOT = DeferredError("hot", rule="hot", retry_after_s=60)
FULL = UnavailableError("the queue is full", retry_after_s=1)
LEFT = UnavailableError("its caller left")
NO = PolicyDeniedError("no", rule="closed")


class World:
    """Holding, and a device that does with its requests what a test says. Requests are named by numbers, in the order of their arrival."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.trouble: EdgedError | None = None
        self.asked: list[Asked] = []
        self.asks: list[Ask] = []
        self.under_way: dict[int, Call] = {}
        self.failures: list[object] = []
        loop = asyncio.get_running_loop()
        # It stands still until the world moves it.
        loop.time = lambda: self.now_s
        loop.set_exception_handler(lambda _loop, context: self.failures.append(context.get("exception", context)))
        self.holding = Holding(rules=lambda: RULES, run_s=lambda: RUN_S)

    async def ask(self, count: int, ask: Ask, uid: int, within_s: float) -> None:
        for _ in range(count):
            self._ask(ask, uid, within_s)

    async def become(self, trouble: EdgedError | None) -> None:
        self.trouble = trouble

    async def wake(self) -> None:
        self.holding.wake()

    async def answer(self, which: int) -> None:
        if self.under_way:
            self.end(list(self.under_way)[which % len(self.under_way)])

    async def come_back(self, count: int) -> None:
        """As from a queue whose worker cannot be started: all at the same moment, in their order."""
        for number in sorted(self.under_way)[:count]:
            self.end(number, FULL)

    async def leave(self, which: int) -> None:
        if self.asked:
            self.asked[which % len(self.asked)].call.abandon()

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        for number, call in list(self.under_way.items()):
            if call.request.deadline_s <= self.now_s:
                self.end(number, NO)
        await settle()

    async def settle(self) -> None:
        await settle()

    def go_on(self, number: int, call: Call) -> None:
        waiting = [other for other in self.alike(number) if other not in self.under_way]
        assert waiting[0] == number, "it overtook another"
        assert call.request.deadline_s <= self.now_s + RUN_S
        if self.trouble is not None:
            raise self.trouble
        self.under_way[number] = call
        call.abandoned = lambda: self.end(number, LEFT)
        assert sum(other in self.under_way for other in self.alike(number)) <= RULES.at_once

    def end(self, number: int, error: EdgedError | None = None) -> None:
        call = self.under_way.pop(number)
        call.finish(error or echoes([call.request])[0])

    def _ask(self, ask: Ask, uid: int, within_s: float) -> None:
        number = len(self.asked)
        asked = Asked(request_of(deadline_s=self.now_s + within_s, uid=uid, request_class=BACKGROUND))
        self.asked.append(asked)
        self.asks.append(ask)
        try:
            self.holding.keep(ask, asked.call, go_on=lambda call: self.go_on(number, call))
        except EdgedError as exc:
            asked.call.finish(exc)

    def alike(self, number: int) -> list[int]:
        """Return the requests of the same kind that are not over."""
        return [i for i, asked in enumerate(self.asked) if self.asks[i] == self.asks[number] and not asked.is_finished]

    def look(self) -> None:
        assert not self.failures
        over = [number for number, asked in enumerate(self.asked) if asked.is_finished]
        assert all(len(asked.outcomes) <= 1 for asked in self.asked), "one was finished twice"
        assert not [i for i in self.under_way if i in over], "one was finished before what it is under way as"
        kept = [i for i in range(len(self.asked)) if i not in over and i not in self.under_way]
        assert all(self.asked[i].call.request.deadline_s > self.now_s for i in kept), "one outlived its deadline"
        work = self.holding.work().get("a")
        if work is not None:
            assert (work.kept, work.under_way) == (len(kept), len(self.under_way))
            assert sum(work.ended.values()) == len(over)


STEPS = st.one_of(
    st.tuples(
        st.just("ask"), st.integers(1, 5), st.sampled_from(ASKS), st.integers(1, 2), st.sampled_from((20.0, 3600.0))
    ),
    st.tuples(st.just("become"), st.sampled_from((None, None, HOT, FULL, NO))),
    st.tuples(st.just("wake")),
    st.tuples(st.just("answer"), st.integers(0, 5)),
    st.tuples(st.just("come_back"), st.integers(1, 6)),
    st.tuples(st.just("leave"), st.integers(0, 30)),
    st.tuples(st.just("pass_s"), st.sampled_from((0.5, 5.0, 40.0))),
    st.tuples(st.just("settle")),
)


async def walk(steps: list[tuple], *, is_closed: bool) -> None:
    world = World()
    for step in steps:
        await getattr(world, step[0])(*step[1:])
        world.look()
    world.trouble = None
    if is_closed:
        world.holding.close()
    # Nothing may be left over, and nobody has to say that there is room again.
    await world.pass_s(LOOK_EVERY_S)
    while world.under_way:
        world.end(min(world.under_way))
        await settle()
        world.look()
    assert all(asked.is_finished for asked in world.asked)
    world.look()
    world.holding.close()


@settings(max_examples=200)
@given(steps=st.lists(STEPS, min_size=15, max_size=60), is_closed=st.booleans())
def test_whatever_happens_each_request_is_finished_once_in_its_turn_and_in_its_time(steps, is_closed):
    asyncio.run(walk(steps, is_closed=is_closed))
