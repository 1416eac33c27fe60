"""Decisions are kept, made anew when what they depend on changes, and told to whoever wants to know."""

import pytest

from edged.daemon.decisions.decider import FORGET_AFTER_S, Decider
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decision import Action
from edged.sense.context import Level
from tests.fakes.contexts import connected_device
from tests.fakes.decisions import FakeAccuracy, FakeEndpoint, FakePolicies, FakeVariants
from tests.fakes.rules import rule
from tests.fakes.served_workers import HeldTime, settle
from tests.fakes.variants import variant

FP32, INT8 = variant("fp32-any"), variant("int8-any", tier="memory", precision="int8")
INTERACTIVE = Ask(model="m")
BACKGROUND = Ask(model="m", request_class=RequestClass.BACKGROUND)


def is_hot(context, _ask):
    return context.thermal.value is Level.SERIOUS


HOT = rule("hot", when=is_hot, variants=("int8",))
NIGHT_WORK = rule("night-work", when=lambda _, ask: ask.request_class is RequestClass.BACKGROUND, variants=("int8",))


class Desk:
    """A decider, and all it depends on."""

    def __init__(self, time: HeldTime) -> None:
        self.time = time
        self.contexts, self.policies, self.variants = connected_device(), FakePolicies(HOT), FakeVariants()
        self.accuracy, self.endpoint = FakeAccuracy(), FakeEndpoint()
        self.variants.become("m", FP32, INT8)
        self.noted: list[tuple] = []
        self.changes = 0
        self.decider = Decider(
            contexts=self.contexts,
            policies=self.policies,
            variants=self.variants,
            accuracy=self.accuracy,
            endpoint=self.endpoint,
            noted=lambda *noted: self.noted.append(noted),
        )
        self.decider.on_change(self._count)

    def _count(self) -> None:
        self.changes += 1

    @property
    def variant(self) -> str:
        return self.decider.decide(INTERACTIVE).variant

    @property
    def wanted(self):
        return [variants for _, variants, _ in self.variants.wanted]


@pytest.fixture
async def desk(monkeypatch):
    desk = Desk(HeldTime(monkeypatch))
    await settle()
    yield desk
    desk.decider.close()


async def test_a_decision_is_kept_until_something_changes(desk):
    first = desk.decider.decide(INTERACTIVE)

    assert desk.decider.decide(INTERACTIVE) is first
    desk.contexts.become(battery_percent=50.0)
    assert desk.decider.decide(INTERACTIVE) is not first


async def test_a_new_context_decides_at_once_for_whoever_asks_before_the_loop_gets_round_to_it(desk):
    desk.contexts.become(thermal=Level.SERIOUS)

    assert desk.variant == "int8-any"


async def test_a_hot_device_wants_the_other_variant_before_anybody_asks(desk):
    assert desk.wanted == [("fp32-any",)]
    desk.contexts.become(thermal=Level.SERIOUS)
    await settle()

    assert desk.variants.wanted[-1] == ("m", ("int8-any",), "hot")


async def test_other_rules_count_at_once_whatever_the_dwell_time_says(desk):
    desk.contexts.become(thermal=Level.SERIOUS)
    assert desk.variant == "int8-any"
    desk.contexts.become(thermal=Level.NOMINAL)
    assert desk.variant == "int8-any"
    desk.policies.become()

    assert desk.variant == "fp32-any"


async def test_the_dwell_time_ends_by_itself(desk):
    desk.contexts.become(thermal=Level.SERIOUS)
    await settle()
    desk.contexts.become(thermal=Level.NOMINAL)
    await settle()
    await desk.time.pass_s(29.0)
    assert desk.wanted[-1] == ("int8-any",)

    await desk.time.pass_s(1.0)
    assert desk.wanted[-1] == ("fp32-any",)
    assert desk.variant == "fp32-any"


async def test_a_variant_that_turns_out_to_be_unusable_is_left(desk):
    desk.variants.become("m", FP32, INT8, unusable={"fp32-any": ("its kit failed",)})

    assert desk.variant == "int8-any"
    await settle()
    assert desk.wanted[-1] == ("int8-any",)


async def test_apps_that_say_the_answers_are_degraded_are_heard(desk):
    desk.policies.become(rule("bad", when=lambda _, ask: ask.accuracy.value == "degraded", defer_s=5))
    assert desk.variant == "fp32-any"
    desk.accuracy.become(m="degraded")

    assert desk.decider.decide(INTERACTIVE).action is Action.DEFER


async def test_interactive_and_background_requests_are_decided_apart_and_what_both_want_is_loaded(desk):
    desk.policies.become(NIGHT_WORK)

    assert desk.decider.decide(BACKGROUND).variant == "int8-any"
    assert desk.variant == "fp32-any"
    assert desk.wanted[-1] == ("fp32-any", "int8-any")


async def test_a_kind_of_request_that_nobody_makes_any_more_wants_nothing_any_more(desk):
    desk.policies.become(NIGHT_WORK)
    desk.decider.decide(BACKGROUND)
    await settle()
    desk.time.now_s += FORGET_AFTER_S
    desk.contexts.become(battery_percent=50.0)
    await settle()
    assert desk.wanted[-1] == ("fp32-any", "int8-any")
    desk.time.now_s += FORGET_AFTER_S + 1
    desk.contexts.become(battery_percent=49.0)
    await settle()

    assert desk.wanted[-1] == ("fp32-any",)
    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE]


async def test_a_kind_of_request_that_is_made_now_and_then_is_not_forgotten(desk):
    desk.policies.become(NIGHT_WORK)
    for i in range(3):
        desk.decider.decide(BACKGROUND)
        desk.time.now_s += FORGET_AFTER_S - 1
        desk.contexts.become(battery_percent=50.0 - i)
        await settle()

    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE, BACKGROUND]


async def test_what_is_wanted_is_said_once(desk):
    before = len(desk.wanted)
    desk.contexts.become(battery_percent=50.0)
    await settle()

    assert len(desk.wanted) == before


async def test_a_deferred_model_keeps_the_variant_that_it_had(desk):
    desk.policies.become(rule("closed", defer_s=60))
    await settle()

    assert desk.wanted[-1] == ("fp32-any",)


async def test_of_a_model_that_is_gone_nothing_is_kept(desk):
    desk.variants.become("m")
    await settle()

    assert desk.decider.decisions == []
    assert desk.decider.decide(INTERACTIVE).action is Action.DEFER
    assert desk.decider.decisions == []


async def test_listeners_hear_of_decisions_that_are_others_and_of_nothing_else(desk):
    before = desk.changes
    desk.contexts.become(battery_percent=50.0)
    await settle()
    assert desk.changes == before
    desk.contexts.become(thermal=Level.SERIOUS)
    await settle()

    assert desk.changes == before + 1
    (ask, was, now) = desk.noted[-1]
    assert (ask, was.rule, now.rule) == (INTERACTIVE, "run-best", "hot")
