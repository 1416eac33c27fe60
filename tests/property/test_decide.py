"""The promises of decisions, on rules, variants and sequences of contexts that nobody thought of."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decide import decide
from edged.select.decision import Action, Circumstances, Incumbent, Measured, Regulatory
from edged.select.selectors import is_meant
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
            "max_joules": st.none() | st.floats(0.01, 1),
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
    measured=st.dictionaries(
        st.sampled_from(NAMES),
        st.builds(
            Measured,
            latency_s=st.none() | st.floats(0.001, 0.1),
            joules=st.none() | st.floats(0, 2),
            watts=st.none() | st.floats(0, 100),
        ),
    ),
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


@settings(max_examples=300)
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


STEPS = st.tuples(
    st.integers(0, 4),
    st.sampled_from((0.0, 1.0, 10.0, 29.0, 30.0)),
    st.dictionaries(st.sampled_from(NAMES[:3]), st.just(("cannot",)), max_size=2),
    st.dictionaries(st.sampled_from(NAMES[:3]), st.builds(Measured, latency_s=st.sampled_from((0.001, 0.1)))),
)


@given(policies(), VARIANTS.filter(bool), st.lists(STEPS, min_size=2, max_size=20))
def test_a_variant_stays_exactly_as_long_as_it_has_to(rules, variants, steps):
    """Until the dwell time is over, unless a rule further up wants another or it cannot run any more; and not a moment longer."""
    last, now_s = None, 0.0
    for serial, wait_s, unusable, measured in steps:
        now_s += wait_s
        fresh = Circumstances(now_s=now_s, unusable=unusable, measured=measured)
        wanted, decision = (
            decide(Context(serial=serial), Ask(model="m"), rules=rules, variants=variants, circumstances=circumstances)
            for circumstances in (fresh, replace(fresh, incumbent=last))
        )
        assert (decision.action, decision.rule, decision.retry_after_s) == (
            wanted.action, wanted.rule, wanted.retry_after_s,
        )  # fmt: skip
        if wanted.variant is None:
            assert decision.incumbent == last, "nobody runs, and nothing is forgotten"
            continue
        has_to_stay = (
            last is not None
            and last.variant not in unusable
            and last.variant in {item.id for item in variants}
            and decision.rank >= last.rank
            and now_s < last.until_s
        )
        assert decision.variant == (last.variant if has_to_stay else wanted.variant)
        assert decision.incumbent.variant == decision.variant
        stayed = last is not None and last.variant == decision.variant
        assert decision.incumbent.since_s == (last.since_s if stayed else now_s)
        assert decision.incumbent.rank == (last.rank if has_to_stay else decision.rank)
        last = decision.incumbent


@given(
    policies(
        st.fixed_dictionaries(
            {
                "variants": st.lists(st.sampled_from(SELECTORS), max_size=3).map(tuple),
                "max_latency_ms": st.none() | st.sampled_from((5.0, 50.0)),
            }
        )
    ),
    VARIANTS,
    st.dictionaries(st.sampled_from(NAMES), st.builds(Measured, latency_s=st.sampled_from((0.001, 0.02, 0.1)))),
)
def test_variants_come_in_the_order_of_the_rule_and_no_slow_one_while_a_fast_one_is_left(rules, variants, measured):
    ask = Ask(model="m", request_class=RequestClass.BACKGROUND)
    decision = decide(
        Context(serial=0),
        ask,
        rules=rules,
        variants=variants,
        circumstances=Circumstances(now_s=0.0, measured=measured),
    )
    then = rules[decision.rank].rule.then
    known = {item.id: item for item in variants}

    def place(name):
        named = [i for i, selector in enumerate(then.variants) if is_meant(known[name], selector)]
        return (named[0] if then.variants else 0, list(known).index(name))

    def latency_ms(name):
        return measured[name].latency_s * 1000 if name in measured else known[name].budget.latency_ms

    named = [name for name in known if not then.variants or any(is_meant(known[name], each) for each in then.variants)]
    within = [name for name in named if then.max_latency_ms is None or latency_ms(name) <= then.max_latency_ms]
    if within:
        assert list(decision.variants) == sorted(within, key=place)
    else:
        assert list(decision.variants) == sorted(named, key=lambda name: (latency_ms(name), place(name)))


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
