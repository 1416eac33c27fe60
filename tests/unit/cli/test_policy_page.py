"""What a rule asks for, in words: none of it is left out."""

import pytest

from edged.api.documents.decisions import DecisionStatus
from edged.cli.policy_page import decision_text, then_words
from edged.policy.document import Then


@pytest.mark.parametrize(
    ("then", "words"),
    [
        (Then(), "run"),
        (Then(variants=("int8", "*"), scale=0.5), "variant int8, *, scale 0.5"),
        (Then(deny="under repair"), "deny: under repair"),
        (Then(defer_s=60, offload="fall-back"), "defer for 60 s, offload fall-back"),
        (Then(max_latency_ms=150, max_watts=4), "run, max_latency_ms 150, max_watts 4"),
        (Then(max_joules=0.5), "run, max_joules 0.5"),
        (Then(max_concurrent=1, max_rate_per_s=4), "run, max_concurrent 1, max_rate_per_s 4"),
        (Then(frequency_share=0.6), "run, frequency_share 0.6"),
    ],
)
def test_what_a_rule_asks_for_is_said(then, words):
    assert then_words(then) == words


@pytest.mark.parametrize("name", Then.__struct_fields__)
def test_nothing_that_a_rule_may_ask_for_is_left_out(name):
    examples = {"variants": ("int8",), "scale": 0.5, "offload": "prefer", "deny": "no"}
    then = Then(**{name: examples.get(name, 1)})

    assert then_words(then) != then_words(Then())


@pytest.mark.parametrize(("action", "words"), [("run", "run fp32"), ("offload", "offload, else fp32")])
def test_who_answers_where_the_endpoint_does_not_is_said(action, words):
    status = DecisionStatus(
        model="m", request="interactive", consent=True, action=action, rule="r", origin="local", precision="fp32"
    )

    assert decision_text(status) == words
