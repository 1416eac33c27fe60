import pytest

from edged.api.oip.decision_summary import summarize
from edged.select.decision import Action, Decision


def decision(**fields) -> Decision:
    return Decision(**{"action": Action.RUN, "rule": "hot", "origin": "local", "rank": 0} | fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"variants": ("a-1.0.0-int8-any", "b")}, 'rule="hot", variant="a-1.0.0-int8-any"'),
        ({"action": Action.OFFLOAD}, 'rule="hot"'),
        ({"scale": 0.25}, 'rule="hot", scale=0.25'),
        ({"scale": 1 / 3}, 'rule="hot", scale=0.333'),
        ({"scale": 0.0001}, 'rule="hot", scale=0.001'),
    ],
)
def test_a_summary_is_a_dictionary_of_structured_fields(fields, text):
    """RFC 9651: strings in quotes, decimals with one to three digits after the point."""
    assert summarize(decision(**fields)) == text
