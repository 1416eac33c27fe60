"""Decisions that are kept, whatever happens and in whatever order: those that would be made now, and whoever listens has heard of them."""

import asyncio
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.daemon.decisions.decider import FORGET_AFTER_S, Decider
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decision import Measured
from edged.sense.context import Level
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakePolicies, FakeVariants
from tests.fakes.rules import rule
from tests.fakes.served_workers import settle
from tests.fakes.variants import variant

FP32, INT8 = variant("fp32-any"), variant("int8-any", tier="memory", precision="int8")
ASKS = [
    Ask(model=model, request_class=request_class, has_consent=has_consent)
    for model in ("m", "n", "gone")
    for request_class in RequestClass
    for has_consent in (False, True)
]
RULES = [
    rule("hot", when=lambda context, _: context.thermal.value is Level.SERIOUS, variants=("int8",)),
    rule("wrong", when=lambda _, ask: ask.accuracy.value == "degraded", variants=("fp32",), dwell_s=5.0),
    rule("night", when=lambda _, ask: ask.request_class is RequestClass.BACKGROUND, defer_s=60, offload="fall-back"),
    rule("fast", variants=("*",), max_latency_ms=10.0),
    rule("closed", when=lambda context, _: context.thermal.value is Level.CRITICAL, deny="no"),
]
MEASURED = [{}, {"fp32-any": Measured(latency_s=0.1)}, {"fp32-any": Measured(latency_s=0.001)}]


class World:
    """A decider, all it depends on, and somebody who listens."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        loop = asyncio.get_running_loop()
        # It stands still until the world moves it.
        loop.time = lambda: self.now_s
        self.contexts, self.policies, self.variants = connected_device(), FakePolicies(*RULES[:2]), FakeVariants()
        self.accuracy = FakeAccuracy()
        self.variants.become("m", FP32, INT8)
        self.decider = Decider(
            contexts=self.contexts,
            policies=self.policies,
            variants=self.variants,
            accuracy=self.accuracy,
            endpoint=FakeEndpoint("m"),
            noted=lambda *_: None,
        )
        self.heard = dict(self.decider.decisions)
        self.decider.on_change(self._listen)

    def _listen(self) -> None:
        self.heard = dict(self.decider.decisions)

    async def heat(self, level: Level) -> None:
        self.contexts.become(thermal=level)

    async def rule(self, numbers: list[int]) -> None:
        self.policies.become(*(RULES[number] for number in numbers))

    async def load(self, model: str, *unusable: str) -> None:
        self.variants.become(model, FP32, INT8, unusable=dict.fromkeys(unusable, ("it fails",)))

    async def lose(self, model: str) -> None:
        self.variants.become(model)

    async def measure(self, number: int) -> None:
        self.variants.seen["m"] = MEASURED[number]
        self.variants.become("m", FP32, INT8)

    async def say(self, said: str) -> None:
        self.accuracy.become(m=said)

    async def ask(self, number: int) -> None:
        self.decider.decide(ASKS[number])

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        await settle()

    async def look(self) -> None:
        await settle()
        decisions = dict(self.decider.decisions)
        assert {ask.model for ask in decisions} == set(self.variants.models())
        assert {Ask(model=model) for model in self.variants.models()} <= decisions.keys()
        for ask, decision in decisions.items():
            told = replace(ask, accuracy=self.accuracy.of(ask.model))
            assert decision == self.decider.what_if(told, self.contexts.current), "it is an old one"
            assert decision == self.decider.decide(ask)
        assert self.heard == decisions, "nobody has told of it"
        for model in self.variants.models():
            (*_, wanted) = (variants for name, variants, _ in self.variants.wanted if name == model)
            firsts = {item.variant for ask, item in decisions.items() if ask.model == model and item.variant}
            assert firsts <= set(wanted)


STEPS = st.one_of(
    st.tuples(st.just("heat"), st.sampled_from((Level.NOMINAL, Level.SERIOUS, Level.CRITICAL))),
    st.tuples(st.just("rule"), st.lists(st.integers(0, len(RULES) - 1), unique=True)),
    st.tuples(st.just("load"), st.sampled_from(("m", "n"))),
    st.tuples(st.just("load"), st.just("m"), st.sampled_from(("fp32-any", "int8-any"))),
    st.tuples(st.just("lose"), st.sampled_from(("m", "n"))),
    st.tuples(st.just("measure"), st.integers(0, len(MEASURED) - 1)),
    st.tuples(st.just("say"), st.sampled_from(("ok", "degraded"))),
    st.tuples(st.just("ask"), st.integers(0, len(ASKS) - 1)),
    st.tuples(st.just("pass_s"), st.sampled_from((1.0, 5.0, 30.0, FORGET_AFTER_S + 1))),
)


async def walk(steps: list[tuple], looks: list[bool]) -> None:
    world = World()
    for step, looks_now in zip(steps, looks, strict=False):
        await getattr(world, step[0])(*step[1:])
        if looks_now:
            await world.look()
    await world.look()
    world.decider.close()


@settings(max_examples=200)
@given(steps=st.lists(STEPS, max_size=30), looks=st.lists(st.booleans(), min_size=30, max_size=30))
def test_what_is_kept_is_what_would_be_decided_now(steps, looks):
    asyncio.run(walk(steps, looks))
