from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced

from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decide import NOTHING_LEFT_RETRY_S, decide
from edged.select.decision import Action, Incumbent, Measured, Regulatory
from edged.sense.context import Context, Link
from edged.sense.reading import known
from tests.fakes.rules import RUN_BEST, at, rule
from tests.fakes.variants import variant

FP32 = variant("fp32-any")
FP16 = variant("fp16-any", tier="speed", precision="fp16")
INT8 = variant("int8-any", tier="memory", precision="int8")
ALL = (FP32, FP16, INT8)
ASK = Ask(model="m")
CONSENTING = Ask(model="m", has_consent=True)
ONLINE = Context(link=known(Link.WIFI))


def decided(*rules, ask=ASK, context=ONLINE, variants=ALL, **circumstances):
    return decide(context, ask, rules=(*rules, RUN_BEST), variants=variants, circumstances=at(**circumstances))


def reasons_of(decision) -> dict:
    return {item.variant: item.reasons for item in decision.rejected}


def test_without_a_policy_the_best_variant_runs_and_nothing_is_asked_of_anybody():
    decision = decided()

    assert (decision.action, decision.rule, decision.origin) == (Action.RUN, "run-best", "built-in")
    assert decision.variants == ("fp32-any", "fp16-any", "int8-any")
    assert (decision.scale, decision.max_concurrent, decision.max_rate_per_s) == (1.0, None, None)
    assert not decision.may_offload
    assert not decision.log


def test_the_first_rule_that_applies_decides_and_says_what_made_it_apply():
    decision = decided(
        rule("never", when=lambda *_: False, deny="no"), rule("small", variants=("int8",)), rule("none", deny="no")
    )

    assert (decision.rule, decision.rank, decision.variant) == ("small", 1, "int8-any")
    assert decision.reasons == ("rule small (packaged) applies: small holds",)


def test_where_no_rule_applies_at_all_the_caller_is_told():
    with pytest.raises(ValueError, match="no rule applies"):
        decide(ONLINE, ASK, rules=(), variants=ALL, circumstances=at())


@pytest.mark.parametrize(
    ("selectors", "order"),
    [
        (("int8", "fp32"), ("int8-any", "fp32-any")),
        (("speed",), ("fp16-any",)),
        (("int8-any",), ("int8-any",)),
        (("fp*", "memory"), ("fp32-any", "fp16-any", "int8-any")),
        (("*",), ("fp32-any", "fp16-any", "int8-any")),
    ],
)
def test_a_rule_names_variants_by_precision_tier_id_or_pattern_in_its_own_order(selectors, order):
    decision = decided(rule("r", variants=selectors))

    assert decision.variants == order
    left_out = {item.id for item in ALL} - set(order)
    assert {name for name, why in reasons_of(decision).items() if why == ("the rule does not name it",)} == left_out


def test_a_variant_that_cannot_run_is_out_with_every_reason_whoever_names_it():
    decision = decided(rule("r", variants=("int8", "fp16")), unusable={"int8-any": ("no vnni",), "fp32-any": ("big",)})

    assert decision.variants == ("fp16-any",)
    assert reasons_of(decision) == {
        "int8-any": ("no vnni",),
        "fp32-any": ("big", "the rule does not name it"),
    }


def test_those_that_come_later_are_said_to():
    assert reasons_of(decided())["int8-any"] == ("comes after fp32-any",)


def test_a_variant_that_takes_longer_here_than_the_rule_allows_is_passed_over():
    decision = decided(
        rule("r", max_latency_ms=20), measured={"fp32-any": Measured(latency_s=0.025), "int8-any": Measured()}
    )

    assert decision.variants == ("fp16-any", "int8-any")
    # It is also beyond the 10 ms of its manifest, which is looked at first.
    assert reasons_of(decision)["fp32-any"] == ("takes 2.5 times as long here as its manifest promises",)


def test_until_it_is_measured_the_latency_in_the_manifest_counts():
    slow = replace_budget(FP32, latency_ms=50)

    decision = decided(rule("r", max_latency_ms=20), variants=(slow, INT8))

    assert decision.variants == ("int8-any",)
    assert reasons_of(decision)["fp32-any"] == ("its manifest states 50 ms, the rule allows 20 ms",)


def test_when_all_take_too_long_the_fastest_goes_first_and_the_decision_says_so():
    measured = {"fp32-any": Measured(latency_s=0.009), "fp16-any": Measured(latency_s=0.008)}

    decision = decided(rule("r", max_latency_ms=2, variants=("fp32", "fp16")), measured=measured)

    assert decision.variants == ("fp16-any", "fp32-any")
    assert decision.reasons[1] == "no variant keeps within 2 ms, so the one that comes nearest goes first"


def test_what_does_not_say_what_power_it_draws_is_not_taken_for_frugal():
    frugal, hungry = replace_budget(INT8, power_watts=1.5), replace_budget(FP16, power_watts=4.0)

    decision = decided(rule("r", max_watts=2), variants=(FP32, hungry, frugal))

    assert decision.variants == ("int8-any",)
    assert reasons_of(decision) == {
        "fp32-any": ("what power it draws was not measured here, and its manifest does not say",),
        "fp16-any": ("its manifest states 4 W, the rule allows 2 W",),
    }


def test_measured_power_counts_and_the_stated_one_does_not_any_more():
    stated = replace_budget(FP32, power_watts=1.0), replace_budget(INT8, power_watts=3.0)
    measured = {"fp32-any": Measured(watts=2.5, joules=0.02), "int8-any": Measured(watts=1.5, joules=0.01)}

    assert decided(rule("r", max_watts=2), variants=stated).variant == "fp32-any"
    decision = decided(rule("r", max_watts=2), variants=stated, measured=measured)

    assert decision.variant == "int8-any"
    assert reasons_of(decision) == {"fp32-any": ("draws 2.5 W here, the rule allows 2 W",)}


def test_energy_of_a_run_is_measured_or_latency_times_power_of_the_manifest_or_not_known():
    """Each variant is stated to take 10 ms."""
    variants = replace_budget(FP32, power_watts=50.0), replace_budget(FP16, power_watts=1.0), INT8
    at_most = rule("r", max_joules=0.1)

    decision = decided(at_most, variants=variants)

    assert decision.variants == ("fp16-any",)
    assert reasons_of(decision) == {
        "fp32-any": ("its manifest states 0.5 J, the rule allows 0.1 J",),
        "int8-any": ("what energy a run takes was not measured here, and its manifest does not say",),
    }
    measured = {"fp16-any": Measured(joules=0.2, watts=1.0), "int8-any": Measured(joules=0.05, watts=1.0)}
    after = decided(at_most, variants=variants, measured=measured)
    assert after.variants == ("int8-any",)
    assert reasons_of(after)["fp16-any"] == ("takes 0.2 J here, the rule allows 0.1 J",)


def test_when_all_take_too_much_energy_the_most_frugal_goes_first_and_what_nobody_knows_last():
    variants = FP32, replace_budget(FP16, power_watts=100.0), INT8
    measured = {"int8-any": Measured(joules=0.5, watts=5.0)}

    decision = decided(rule("r", max_joules=0.1), variants=variants, measured=measured)

    assert decision.variants == ("int8-any", "fp16-any", "fp32-any")
    assert decision.reasons[1] == "no variant keeps within 0.1 J, so the one that comes nearest goes first"


def test_where_nothing_is_known_of_a_limit_the_order_stays_and_the_decision_says_so():
    decision = decided(rule("r", max_joules=0.1, variants=("int8", "*")))

    assert decision.variants == ("int8-any", "fp32-any", "fp16-any")
    assert decision.reasons[1] == "whether any variant keeps within 0.1 J is not known"


def test_power_that_a_manifest_states_is_no_promise():
    """What else is switched on while somebody waits is measured, too."""
    stated = replace_budget(FP32, power_watts=1.0)

    decision = decided(rule("r"), variants=(stated, INT8), measured={"fp32-any": Measured(joules=0.1, watts=10.0)})

    assert decision.variant == "fp32-any"


def test_a_broken_promise_counts_for_those_who_wait_and_only_where_a_policy_decides():
    measured = {"fp32-any": Measured(latency_s=0.030)}

    assert decided(rule("r"), measured=measured).variant == "fp16-any"
    assert decided(measured=measured).variant == "fp32-any"
    background = Ask(model="m", request_class=RequestClass.BACKGROUND)
    assert decided(rule("r"), ask=background, measured=measured).variant == "fp32-any"


@pytest.mark.parametrize(
    ("latency_s", "answers"),
    [pytest.param(0.010, "fp32-any", id="as promised"), pytest.param(0.011, "fp16-any", id="a tenth longer")],
)
def test_a_promise_is_kept_to_the_millisecond(latency_s, answers):
    assert decided(rule("r"), measured={"fp32-any": Measured(latency_s=latency_s)}).variant == answers


@pytest.mark.parametrize(
    ("latency_s", "answers"),
    [pytest.param(0.005, "fp32-any", id="at the limit"), pytest.param(0.00501, "fp16-any", id="above it")],
)
def test_a_limit_is_kept_to_as_well_as_it_is_measured(latency_s, answers):
    measured = {"fp32-any": Measured(latency_s=latency_s), "fp16-any": Measured(latency_s=0.001)}

    assert decided(rule("r", max_latency_ms=5), measured=measured).variant == answers


def test_denied_is_denied_in_the_words_of_the_rule():
    decision = decided(rule("closed", deny="the gauge is being calibrated"))

    assert (decision.action, decision.denial, decision.variants) == (Action.DENY, "the gauge is being calibrated", ())
    assert set(reasons_of(decision)) == {item.id for item in ALL}


def test_deferred_says_when_to_come_again():
    decision = decided(rule("hot", defer_s=90))

    assert (decision.action, decision.retry_after_s, decision.variants) == (Action.DEFER, 90, ())
    assert reasons_of(decision)["fp32-any"] == ("the rule defers",)


def test_a_rule_that_leaves_nothing_to_run_defers_and_says_why():
    decision = decided(rule("r", variants=("int4",)))

    assert (decision.action, decision.retry_after_s) == (Action.DEFER, NOTHING_LEFT_RETRY_S)
    assert decision.reasons[1:] == ("no variant may run",)
    assert set(reasons_of(decision)) == {item.id for item in ALL}


def test_the_cloud_answers_first_where_the_rule_prefers_it_and_what_runs_here_is_the_reserve():
    decision = decided(rule("r", offload="prefer", variants=("int8",)), ask=CONSENTING, has_endpoint=True)

    assert (decision.action, decision.may_offload, decision.variants) == (Action.OFFLOAD, True, ("int8-any",))
    assert decision.reasons[1:] == ("the rule prefers the cloud endpoint",)


def test_the_cloud_answers_where_nothing_here_may_and_the_rule_lets_it():
    allowed = {"ask": CONSENTING, "has_endpoint": True}

    instead = ("the cloud endpoint answers instead",)
    for then, reasons in (({"variants": ("int4",)}, ("no variant may run", *instead)), ({"defer_s": 9}, instead)):
        decision = decided(rule("r", offload="fall-back", **then), **allowed)
        assert (decision.action, decision.may_offload, decision.retry_after_s) == (Action.OFFLOAD, True, None)
        assert decision.reasons[1:] == reasons
    runs = decided(rule("r", offload="fall-back"), **allowed)
    assert (runs.action, runs.may_offload) == (Action.RUN, True)


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        ({"has_endpoint": False}, "there is no cloud endpoint for this model"),
        ({"ask": ASK}, "the caller did not consent to offload"),
        ({"context": Context(link=known(Link.OFFLINE))}, "there is no link"),
        ({"context": Context()}, "whether there is a link is not known: not read yet"),
        ({"regulatory": Regulatory(name="eu", forbids_offload=True)}, "the regulatory mode eu forbids to offload"),
    ],
)
def test_the_cloud_needs_everybody_to_agree(lacking, reason):
    given = {"ask": CONSENTING, "has_endpoint": True, "context": ONLINE} | lacking

    here = decided(rule("r", offload="prefer"), **given)
    nothing_here = decided(rule("r", offload="fall-back", variants=("int4",)), **given)

    assert (here.action, here.may_offload) == (Action.RUN, False)
    assert reason in here.reasons
    assert (nothing_here.action, nothing_here.retry_after_s) == (Action.DEFER, NOTHING_LEFT_RETRY_S)
    assert not nothing_here.may_offload
    assert nothing_here.reasons[1:] == ("no variant may run", reason)


def test_a_regulatory_mode_can_demand_that_everything_is_written_down():
    assert decided(regulatory=Regulatory(name="eu", logs_decisions=True)).log


HOT = rule("hot", when=lambda context, _: context.serial == 1, variants=("int8",))
WARM = rule("warm", when=lambda context, _: context.serial == 2, variants=("int8", "fp16"))


def in_turn(*steps):
    """Decide at each ``(now_s, serial)``; serial 1 is hot, 2 warm, anything else cool."""
    incumbent, decisions = None, []
    for now_s, serial in steps:
        decision = decided(HOT, WARM, context=replace(ONLINE, serial=serial), now_s=now_s, incumbent=incumbent)
        incumbent = decision.incumbent
        decisions.append(decision)
    return decisions


def test_a_rule_further_up_brings_its_variant_at_once_and_one_further_down_waits():
    decisions = in_turn((0, 0), (1, 1), (2, 0), (30.9, 0), (31, 0))

    assert [item.variant for item in decisions] == ["fp32-any", "int8-any", "int8-any", "int8-any", "fp32-any"]
    assert "int8-any stays for the dwell time of 30 s before fp32-any may answer" in decisions[2].reasons
    assert decisions[2].rule == "run-best"
    assert decisions[2].variants == ("int8-any", "fp32-any", "fp16-any")


def test_a_milder_rule_for_the_same_variant_does_not_cut_its_stay_short():
    decisions = in_turn((0, 1), (1, 2), (2, 0))

    assert [item.variant for item in decisions] == ["int8-any", "int8-any", "int8-any"]


def test_a_rule_that_comes_to_prefer_another_variant_waits_too():
    """As when another variant has become usable, or was measured to be faster."""
    incumbent = Incumbent(variant="int8-any", rank=0, since_s=0.0, dwell_s=30.0)
    either = rule("either", variants=("fp32", "int8"))

    assert decided(either, now_s=29.0, incumbent=incumbent).variant == "int8-any"
    assert decided(either, now_s=30.0, incumbent=incumbent).variant == "fp32-any"


def test_a_variant_that_stays_is_not_said_to_be_rejected_by_a_rule_that_does_not_name_it():
    incumbent = Incumbent(variant="int8-any", rank=0, since_s=0.0, dwell_s=30.0)

    decision = decided(rule("r", variants=("fp32",)), now_s=1.0, incumbent=incumbent)

    assert decision.variants == ("int8-any", "fp32-any")
    assert reasons_of(decision).keys() == {"fp32-any", "fp16-any"}


def test_a_rule_further_up_that_keeps_the_variant_brings_its_own_dwell_time():
    incumbent = Incumbent(variant="int8-any", rank=1, since_s=0.0, dwell_s=30.0)
    short = rule("short", variants=("int8",), dwell_s=5.0)

    assert decided(short, now_s=1.0, incumbent=incumbent).incumbent == Incumbent(
        variant="int8-any", rank=0, since_s=0.0, dwell_s=5.0
    )


def test_once_the_dwell_time_is_over_the_milder_rule_counts():
    decisions = in_turn((0, 1), (40, 2), (41, 0), (42, 1))

    assert [item.incumbent.rank for item in decisions] == [0, 1, 2, 0]


def test_what_cannot_run_any_more_is_left_at_once():
    incumbent = Incumbent(variant="int8-any", rank=0, since_s=0.0, dwell_s=30.0)

    assert decided(now_s=1.0, incumbent=incumbent, unusable={"int8-any": ("crashed",)}).variant == "fp32-any"
    assert decided(now_s=1.0, incumbent=incumbent, variants=(FP32,)).variant == "fp32-any"


def test_all_but_the_variant_takes_effect_at_once():
    incumbent = Incumbent(variant="int8-any", rank=0, since_s=0.0, dwell_s=30.0)

    decision = decided(
        rule("r", when=lambda *_: False), rule("r2", scale=0.5, max_concurrent=1), now_s=1.0, incumbent=incumbent
    )

    assert (decision.variant, decision.scale, decision.max_concurrent) == ("int8-any", 0.5, 1)
    for then in ({"defer_s": 5}, {"deny": "no"}):
        assert decided(rule("r", **then), now_s=1.0, incumbent=incumbent).incumbent == incumbent


def replace_budget(item, **budget):
    return replaced(item, budget=replaced(item.budget, **budget))
