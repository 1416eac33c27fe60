"""Which variants a rule lets answer, apart from the decision around it."""

from edged.policy.document import Then
from edged.select.candidates import choose_candidates
from tests.fakes.rules import at
from tests.fakes.variants import variant


def test_where_nothing_is_left_no_limit_has_anything_to_say():
    then = Then(variants=("int4",), max_latency_ms=1, max_watts=1, max_joules=1)

    candidates = choose_candidates(then, (variant("fp32-any"),), at(), keeps_promises=True)

    assert (candidates.allowed, candidates.notes) == ((), ())
    assert [item.reasons for item in candidates.rejected] == [("the rule does not name it",)]
