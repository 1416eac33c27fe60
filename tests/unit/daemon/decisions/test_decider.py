"""Decisions are kept, made anew when what they depend on changes, and told to whoever wants to know."""

from dataclasses import replace

import pytest

from edged.daemon.decisions import decider
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
    def begun(self) -> list[Ask]:
        """The kinds of request that were decided about for the first time, or anew after they had been forgotten."""
        return [ask for ask, before, _ in self.noted if before is None]

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


async def test_what_becomes_of_one_model_ends_no_decision_about_another(desk):
    first = desk.decider.decide(INTERACTIVE)
    desk.variants.become("a", FP32)
    await settle()

    assert desk.decider.decide(INTERACTIVE) is first


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
    assert desk.begun == [INTERACTIVE, BACKGROUND]


async def test_what_is_wanted_is_said_once(desk):
    before = len(desk.wanted)
    desk.contexts.become(battery_percent=50.0)
    await settle()

    assert len(desk.wanted) == before


async def test_a_deferred_model_keeps_the_variant_that_it_had(desk):
    desk.policies.become(rule("closed", defer_s=60))
    await settle()

    assert desk.wanted[-1] == ("fp32-any",)


async def test_a_model_that_begins_deferred_wants_nothing_until_something_may_run(desk):
    desk.policies.become(rule("closed", defer_s=60))
    desk.variants.become("new", FP32)
    await settle()
    assert desk.variants.wanted[-1] == ("new", (), "closed")
    desk.policies.become()
    await settle()

    assert desk.variants.wanted[-1] == ("new", ("fp32-any",), "run-best")


async def test_what_would_be_elsewhere_is_not_held_up_by_the_variant_that_has_to_stay_here(desk):
    for level in (Level.SERIOUS, Level.NOMINAL):
        desk.contexts.become(thermal=level)
        await settle()
    elsewhere = replace(desk.contexts.current)

    assert desk.decider.what_if(INTERACTIVE, desk.contexts.current).variant == "int8-any"
    assert desk.decider.what_if(INTERACTIVE, elsewhere).variant == "fp32-any"


async def test_what_is_told_of_all_decisions_is_how_they_are_now(desk):
    desk.contexts.become(thermal=Level.SERIOUS)

    assert [decision.variant for _, decision in desk.decider.decisions] == ["int8-any"]


async def test_a_kind_of_request_that_nobody_makes_is_forgotten_however_much_changes_meanwhile(desk):
    desk.decider.decide(BACKGROUND)
    for percent in range(17):
        desk.contexts.become(battery_percent=percent)
        await desk.time.pass_s(60.0)

    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE]


async def test_a_kind_of_request_that_is_only_made_in_the_moment_of_a_change_is_not_forgotten(desk):
    for percent in range(17):
        desk.contexts.become(battery_percent=percent)
        desk.decider.decide(BACKGROUND)
        await desk.time.pass_s(60.0)

    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE, BACKGROUND]
    assert desk.begun == [INTERACTIVE, BACKGROUND]


async def test_a_model_that_nobody_asks_is_not_forgotten(desk):
    """It keeps the variant that it had last, and its dwell time."""
    desk.contexts.become(thermal=Level.SERIOUS)
    await settle()
    desk.time.now_s += FORGET_AFTER_S + 1
    desk.contexts.become(battery_percent=50.0)
    await settle()

    assert desk.begun == [INTERACTIVE]


async def test_a_kind_of_request_that_was_forgotten_begins_anew(desk):
    """Even if nothing has ended the last decision about it."""
    desk.policies.become(NIGHT_WORK)
    desk.decider.decide(BACKGROUND)
    desk.variants.become("a", FP32)
    await settle()
    # Then no dwell time is left to end any decision.
    await desk.time.pass_s(60.0)
    desk.time.now_s += FORGET_AFTER_S + 1
    desk.variants.become("a", FP32, INT8)
    await settle()
    assert [ask for ask, _ in desk.decider.decisions] == [Ask(model="a"), INTERACTIVE]
    desk.decider.decide(BACKGROUND)

    assert [ask for ask, _ in desk.decider.decisions] == [Ask(model="a"), INTERACTIVE, BACKGROUND]
    assert desk.variants.wanted[-1] == ("m", ("fp32-any", "int8-any"), "run-best")


async def test_no_more_kinds_are_remembered_than_there_is_room_for(desk, monkeypatch):
    monkeypatch.setattr(decider, "MAX_KINDS", 1)

    assert desk.decider.decide(BACKGROUND).variant == "fp32-any"
    await settle()
    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE]


async def test_models_that_are_not_there_are_decided_about_and_not_remembered(desk):
    for number in range(3):
        assert desk.decider.decide(Ask(model=f"nobody{number}")).action is Action.DEFER

    assert {ask.model for ask in desk.decider._kinds} == {"m"}


async def test_what_is_decided_is_told_by_model_and_of_what_somebody_waits_for_first(desk):
    desk.variants.become("a", FP32)
    consenting = Ask(model="m", has_consent=True)
    for ask in (BACKGROUND, consenting):
        desk.decider.decide(ask)

    assert [ask for ask, _ in desk.decider.decisions] == [Ask(model="a"), INTERACTIVE, consenting, BACKGROUND]


async def test_of_a_model_that_is_gone_nothing_is_kept(desk):
    desk.variants.become("m")
    await settle()

    assert desk.decider.decisions == []
    assert desk.decider.decide(INTERACTIVE).action is Action.DEFER
    assert desk.decider.decisions == []
    assert not desk.decider._incumbents
    assert not desk.decider._wanted


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


async def test_listeners_hear_of_a_kind_of_request_that_is_decided_about_for_the_first_time(desk):
    """A rule about background work may ask for slower processors: from its first request on, not from the next change of the device."""
    before = desk.changes
    desk.decider.decide(BACKGROUND)
    await settle()
    assert desk.changes == before + 1
    desk.decider.decide(BACKGROUND)
    await settle()

    assert desk.changes == before + 1


async def test_listeners_hear_of_a_kind_of_request_that_is_forgotten(desk):
    """What its rule asked for is not asked for any more, and nothing else may change for days."""
    desk.decider.decide(BACKGROUND)
    desk.contexts.become(battery_percent=50.0)
    await settle()
    before = desk.changes
    desk.time.now_s += FORGET_AFTER_S + 1
    desk.contexts.become(battery_percent=49.0)
    await settle()

    assert [ask for ask, _ in desk.decider.decisions] == [INTERACTIVE]
    assert desk.changes == before + 1
