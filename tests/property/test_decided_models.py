"""Requests while rules, versions, workers and the cloud endpoint come and go: each is finished once, and leaves nothing behind."""

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config.schema import BackgroundConfig, ServeConfig
from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.holding import LOOK_EVERY_S, Holding
from edged.daemon.serving.keeper import RESTART_WAITS_S
from edged.daemon.serving.serving import Serving
from edged.errors import EdgedError, ModelStoppedError, OffloadError
from edged.ids import ModelName
from edged.runtime.calls import RequestClass
from edged.sense.context import Level
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakePolicies, TwoVariants
from tests.fakes.requests import BACKGROUND, INTERACTIVE, Asked, echoes, request_of
from tests.fakes.rules import rule
from tests.fakes.served_workers import REST_S, Starter, settle

ECHO = ModelName("echo")
RUN_S = 30.0
FAILED = OffloadError("no answer", trouble="unreachable")


def is_hot(context, _ask):
    return context.thermal.value is Level.SERIOUS


def is_background(_context, ask):
    return ask.request_class is BACKGROUND


RULES = [
    rule("closed", when=is_hot, deny="no"),
    rule("later", when=is_background, defer_s=60, offload="fall-back"),
    rule("wait", when=is_hot, defer_s=10),
    rule("one", max_concurrent=1, offload="fall-back", dwell_s=0.0),
    rule("few", variants=("int8",), max_rate_per_s=1.0, dwell_s=0.0),
    rule("cloud", variants=("int8", "*"), offload="prefer", scale=0.5, dwell_s=0.0),
]


class World:
    """A model with two variants on fake workers, all that decides about its requests, and its cloud endpoint."""

    def __init__(self, serving: Serving, starter: Starter) -> None:
        self.now_s = 1000.0
        self.failures: list[object] = []
        loop = asyncio.get_running_loop()
        # It stands still until the world moves it.
        loop.time = lambda: self.now_s
        loop.set_exception_handler(lambda _loop, context: self.failures.append(context.get("exception", context)))
        self.serving, self.starter = serving, starter
        self.models = TwoVariants(serving, starter)
        self.contexts, self.policies = connected_device(), FakePolicies()
        self.endpoint = FakeEndpoint("echo")
        self.decider = Decider(
            contexts=self.contexts,
            policies=self.policies,
            variants=self.models.variants,
            accuracy=FakeAccuracy(),
            endpoint=self.endpoint,
            noted=lambda *_: None,
        )
        self.holding = Holding(rules=lambda: BackgroundConfig(at_once=2, max_kept=6), run_s=lambda: RUN_S)
        self.decider.on_change(self.holding.wake)
        serving.on_change(lambda _model: self.holding.wake())
        self.decided = DecidedModels(
            serving=serving,
            variants=self.models.variants,
            decides=self.decider,
            endpoint=self.endpoint,
            holds=self.holding,
            run_s=lambda: RUN_S,
        )
        self.asked: list[Asked] = []
        self.versions = 1

    async def ask(self, count: int, request_class: RequestClass, within_s: float, *consent: str) -> None:
        for _ in range(count):
            deadline_s = self.now_s + within_s
            asked = Asked(request_of(deadline_s=deadline_s, request_class=request_class, has_consent=bool(consent)))
            self.asked.append(asked)
            try:
                self.decided.submit("echo", None, asked.call)
            except EdgedError as exc:
                assert not asked.is_finished, "it was finished, and refused as well"
                asked.call.finish(exc)

    async def rule(self, numbers: list[int]) -> None:
        self.policies.become(*(RULES[number] for number in numbers))

    async def heat(self, level: Level) -> None:
        self.contexts.become(thermal=level)

    async def load(self, precision: str) -> None:
        if precision == "fp32":
            self.versions += 1
        loaded = [served.loadable.variant.precision for served in self.serving.variants(ECHO)]
        if precision == "fp32" or precision not in loaded:
            # A version that cannot be loaded changes nothing.
            with suppress(OSError):
                await self.models.load(precision, version=f"1.{self.versions}.0")

    async def stop(self) -> None:
        self.serving.hold(ECHO, lambda: ModelStoppedError("stopped"))
        work = self.holding.work().get("echo")
        assert sum(not asked.is_finished for asked in self.asked) == (0 if work is None else work.kept)

    async def release(self) -> None:
        self.serving.release(ECHO)

    async def answer(self) -> None:
        for worker in self.starter.workers:
            worker.answer_all()

    async def lose(self, troubles: int) -> None:
        self.starter.troubles.extend(OSError("no memory") for _ in range(troubles))
        for worker in self.starter.workers:
            if worker.is_usable:
                worker.die()

    async def reply(self, error: EdgedError | None) -> None:
        for call in self.endpoint.calls:
            call.finish(error or echoes([call.request])[0])
        self.endpoint.calls.clear()

    async def disconnect(self, trouble: EdgedError | None) -> None:
        self.endpoint.trouble = trouble

    async def leave(self, which: int) -> None:
        if self.asked:
            self.asked[which % len(self.asked)].call.abandon()

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        await settle()

    def look(self) -> None:
        assert not self.failures
        assert all(len(asked.outcomes) <= 1 for asked in self.asked), "one was finished twice"

    async def end(self) -> None:
        """Have everything become possible again, and wait."""
        self.policies.become()
        self.starter.troubles.clear()
        self.serving.release(ECHO)
        self.endpoint.trouble = None
        for _ in range(4):
            for wait_s in (LOOK_EVERY_S, max(RESTART_WAITS_S)):
                await self.pass_s(wait_s)
                await self.reply(None)
                await self.answer()
                await settle()
        self.look()
        assert all(asked.is_finished for asked in self.asked), "one was never finished"
        work = self.holding.work().get("echo")
        assert work is None or (work.kept, work.under_way) == (0, 0)
        assert not [served for served in self.serving.variants(ECHO) if served.queued or served.running]
        # Nothing counts any more against a limit of one.
        self.policies.become(RULES[3])
        asked = Asked(request_of(b"1", deadline_s=self.now_s + RUN_S))
        self.decided.submit("echo", None, asked.call)
        await self.answer()
        assert asked.answer


_ASKS = (
    st.just("ask"),
    st.integers(1, 4),
    st.sampled_from((INTERACTIVE, BACKGROUND)),
    st.sampled_from((1.0, 20.0, 3600.0)),
)
STEPS = st.one_of(
    st.tuples(*_ASKS),
    st.tuples(*_ASKS, st.just("may leave the device")),
    st.tuples(st.just("rule"), st.lists(st.integers(0, len(RULES) - 1), max_size=3, unique=True)),
    st.tuples(st.just("heat"), st.sampled_from((Level.NOMINAL, Level.SERIOUS))),
    st.tuples(st.just("load"), st.sampled_from(("fp32", "int8"))),
    st.tuples(st.just("stop")),
    st.tuples(st.just("release")),
    st.tuples(st.just("answer")),
    st.tuples(st.just("lose"), st.integers(0, 3)),
    st.tuples(st.just("reply"), st.sampled_from((None, FAILED))),
    st.tuples(st.just("disconnect"), st.sampled_from((None, FAILED))),
    st.tuples(st.just("leave"), st.integers(0, 30)),
    st.tuples(st.just("pass_s"), st.sampled_from((0.5, 2.0, 30.0))),
)


async def walk(steps: list[tuple], settles: list[bool]) -> None:
    starter = Starter()
    serving = Serving(start_worker=starter, parallel=1, poison_rest_s=REST_S, limits=ServeConfig)
    async with serving:
        world = World(serving, starter)
        await world.models.load("fp32")
        for step, is_settled in zip(steps, settles, strict=False):
            await getattr(world, step[0])(*step[1:])
            if is_settled:
                await settle()
            world.look()
        await world.end()
        world.decider.close()
        world.holding.close()


@settings(max_examples=150, report_multiple_bugs=False)
@given(steps=st.lists(STEPS, min_size=15, max_size=40), settles=st.lists(st.booleans(), min_size=40, max_size=40))
def test_whatever_happens_each_request_is_finished_once_and_nothing_is_left_of_it(steps, settles):
    asyncio.run(walk(steps, settles))
