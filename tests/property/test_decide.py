"""The promises of decisions, on rules, variants and sequences of contexts that nobody thought of."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decide import decide
from edged.select.decision import Action, Circumstances, Incumbent, Measured, Regulatory
from edged.sense.context import Context, Link
from edged.sense.reading import known, unknown
from tests.fakes.rules import RUN_BEST, rule
from tests.fakes.variants import variant

PRECISIONS = ("fp32", "fp16", "int8", "int4")
SELECTORS = (*PRECISIONS, "quality", "memory", "*", "v1", "nobody")
VARIANTS = st.lists(
    st.tuples(st.sampled_from(PRECISIONS), st.sampled_from(("quality", "speed", "memory"))), max_size=6
).map(lambda given: [variant(f"v{i}", precision=p, tier=tier) for i, (p, tier) in enumerate(given)])


def on(serials):
    """A condition that holds in these contexts; a function of the context alone, as real ones are."""
    return lambda context, _: context.serial in serials


THENS = st.one_of(
    st.fixed_dictionaries({"deny": st.just("no")}),
    st.fixed_dictionaries({"defer_s": st.floats(0.1, 1e4), "offload": st.sampled_from(("never", "fall-back"))}),
    st.fixed_dictionaries(
        {
            "variants": st.lists(st.sampled_from(SELECTORS), max_size=3).map(tuple),
            "max_latency_ms": st.none() | st.floats(1, 50),
            "max_watts": st.none() | st.floats(1, 50),
            "offload": st.sampled_from(("never", "fall-back", "prefer")),
            "scale": st.sampled_from((0.25, 1.0)),
        }
    ),
)
CONDITIONS = st.frozensets(st.integers(0, 4))


@st.composite
def policies(draw, thens=THENS):
    given = draw(st.lists(st.tuples(CONDITIONS, thens), max_size=5))
    rules = [rule(f"r{i}", when=on(serials), **then) for i, (serials, then) in enumerate(given)]
    return (*rules, RUN_BEST)


CONTEXTS = st.builds(
    Context,
    serial=st.integers(0, 4),
    link=st.sampled_from((known(Link.WIFI), known(Link.OFFLINE), unknown("no report"))),
)
ASKS = st.builds(Ask, model=st.just("m"), request_class=st.sampled_from(RequestClass), has_consent=st.booleans())
NAMES = tuple(f"v{i}" for i in range(6))
CIRCUMSTANCES = st.builds(
    Circumstances,
    now_s=st.just(100.0),
    unusable=st.dictionaries(st.sampled_from(NAMES), st.just(("cannot",))),
    measured=st.dictionaries(st.sampled_from(NAMES), st.builds(Measured, latency_s=st.none() | st.floats(0.001, 0.1))),
    incumbent=st.none()
    | st.builds(
        Incumbent,
        variant=st.sampled_from(NAMES),
        rank=st.integers(0, 6),
        since_s=st.floats(50.0, 100.0),
        dwell_s=st.just(30.0),
    ),
    has_endpoint=st.booleans(),
    regulatory=st.builds(Regulatory, forbids_offload=st.booleans(), logs_decisions=st.booleans()),
)


@given(CONTEXTS, ASKS, policies(), VARIANTS, CIRCUMSTANCES)
def test_a_decision_keeps_its_promises_whatever_is_asked(context, ask, rules, variants, circumstances):
    decision = decide(context, ask, rules=rules, variants=variants, circumstances=circumstances)

    assert decision == decide(context, ask, rules=rules, variants=variants, circumstances=circumstances)
    first = next(ranked for ranked in rules if ranked.applies(context, ask) is not None)
    assert (decision.rule, rules[decision.rank]) == (first.rule.name, first)
    then = first.rule.then
    assert {item.id for item in variants} <= {*decision.variants, *(item.variant for item in decision.rejected)}
    assert all(item.reasons for item in decision.rejected)
    assert decision.variant not in [item.variant for item in decision.rejected]
    assert not set(decision.variants) & circumstances.unusable.keys()
    assert decision.log == circumstances.regulatory.logs_decisions
    assert (decision.action is Action.DENY) == (then.deny is not None)
    assert (decision.retry_after_s is not None) == (decision.action is Action.DEFER)
    if decision.action is Action.DEFER:
        assert decision.retry_after_s > 0
        assert not decision.variants
    if decision.action is Action.RUN:
        assert decision.variants
    if decision.action is Action.OFFLOAD or decision.may_offload:
        assert ask.has_consent
        assert circumstances.has_endpoint
        assert then.offload != "never"
        assert not circumstances.regulatory.forbids_offload
        assert context.link.value is Link.WIFI


@given(
    policies(st.fixed_dictionaries({"variants": st.lists(st.sampled_from(SELECTORS), max_size=3).map(tuple)})),
    VARIANTS.filter(bool),
    st.lists(st.tuples(st.integers(0, 4), st.floats(0.0, 20.0)), min_size=2, max_size=40),
)
def test_no_sequence_of_contexts_relaxes_faster_than_the_dwell_time(rules, variants, steps):
    """Within any 30 s, a model moves down the rules at most once: what brings a variant faster is further up than what brought the last."""
    incumbent, now_s, moves = None, 0.0, []
    for serial, wait_s in steps:
        now_s += wait_s
        circumstances = Circumstances(now_s=now_s, incumbent=incumbent)
        decision = decide(
            Context(serial=serial), Ask(model="m"), rules=rules, variants=variants, circumstances=circumstances
        )
        before, incumbent = incumbent, decision.incumbent
        if before is not None and incumbent.variant != before.variant:
            moves.append((now_s, decision.rank, before))
    for at_s, rank, before in moves:
        assert rank < before.rank or at_s >= before.since_s + 30.0
    # So there are never more moves in one dwell time than there are rules.
    for at_s, _, _ in moves:
        assert len([other for other, _, _ in moves if at_s <= other < at_s + 30.0]) <= len(rules)


@given(CONTEXTS, ASKS, policies(), VARIANTS, CIRCUMSTANCES, st.randoms())
def test_rules_that_do_not_apply_make_no_difference_wherever_they_are(
    context, ask, rules, variants, circumstances, random
):
    applying = [ranked for ranked in rules if ranked.applies(context, ask) is not None]
    others = [ranked for ranked in rules if ranked.applies(context, ask) is None]
    shuffled = [*applying]
    for ranked in others:
        shuffled.insert(random.randint(0, len(shuffled)), ranked)

    one, other = (
        decide(context, ask, rules=these, variants=variants, circumstances=circumstances) for these in (rules, shuffled)
    )

    assert unranked(one) == unranked(other)


def unranked(decision):
    """A decision without the number of its rule."""
    incumbent = None if decision.incumbent is None else replace(decision.incumbent, rank=0)
    return replace(decision, rank=0, incumbent=incumbent)
