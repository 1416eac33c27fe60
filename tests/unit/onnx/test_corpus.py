"""Every model of the hostile corpus is refused in words a publisher can use; every ordinary one passes; damage makes neither crash."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UnsafeModelError
from edged.onnx.safety import check_model
from tests.fakes.hostile_models import hostile, ordinary
from tests.fakes.models import onnx

HOSTILE = hostile()
ORDINARY = ordinary()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_models_are_refused(name):
    words, model = HOSTILE[name]

    with pytest.raises(UnsafeModelError, match=words) as caught:
        check_model(model)

    assert caught.value.hint
    assert len(caught.value.message) < 2000


def test_the_corpus_is_large_and_has_no_model_twice():
    assert len({model for _, model in HOSTILE.values()}) == len(HOSTILE) >= 180


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_models_pass(name):
    check_model(ORDINARY[name])


@pytest.mark.parametrize("name", ["loop", "branch", "function", "functions", "outputs left out", "described"])
def test_what_the_corpus_calls_ordinary_is(name):
    """Otherwise the ordinary models could be of a kind that nobody makes."""
    onnx.checker.check_model(onnx.load_from_string(ORDINARY[name]), full_check=True)


@given(st.sampled_from([*ORDINARY.values(), *(model for _, model in HOSTILE.values() if len(model) < 5000)]), st.data())
def test_flipped_bits_lead_to_a_refusal_or_to_a_model(model, data):
    damaged = bytearray(model or b"\0")
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(UnsafeModelError):
        check_model(bytes(damaged))


@given(st.sampled_from(sorted(ORDINARY)), st.data())
def test_models_cut_short_lead_to_a_refusal_or_to_a_model(name, data):
    with suppress(UnsafeModelError):
        check_model(ORDINARY[name][: data.draw(st.integers(0, len(ORDINARY[name])))])
