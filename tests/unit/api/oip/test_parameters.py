"""Parameters of requests: what they ask for, what is none of this server's business, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.api.oip.parameters import EXTENSIONS, MAX_ID_LENGTH, NO_WISHES, Wishes, read_wishes
from edged.errors import RequestError
from edged.runtime.calls import RequestClass, SequenceStep


def test_unknown_parameters_ask_for_nothing():
    assert read_wishes({"colour": "red", "headers": True}, has_state=False) == NO_WISHES


def test_timeout_is_microseconds_and_zero_is_no_wish():
    assert read_wishes({"timeout": 1_500_000, "priority": 2}, has_state=False) == Wishes(timeout_s=1.5, priority=2)
    assert read_wishes({"timeout": 0}, has_state=False) == NO_WISHES


@pytest.mark.parametrize("is_binary", [True, False])
def test_a_request_may_want_its_outputs_as_bytes(is_binary):
    assert read_wishes({"binary_data_output": is_binary}, has_state=False).is_binary is is_binary
    assert read_wishes({"binary_data_output": is_binary, "priority": 1}, has_state=False).is_binary is is_binary


def test_a_request_may_be_one_that_nobody_waits_for():
    assert read_wishes({"request_class": "background"}, has_state=False).request_class is RequestClass.BACKGROUND


@pytest.mark.parametrize(
    ("parameters", "step"),
    [
        ({"sequence_id": 5}, SequenceStep(id=5)),
        ({"sequence_id": 2**64 - 1, "sequence_start": True}, SequenceStep(id=2**64 - 1, is_start=True)),
        ({"sequence_id": "mic", "sequence_end": True}, SequenceStep(id="mic", is_end=True)),
        ({"sequence_id": "x" * MAX_ID_LENGTH, "sequence_start": False}, SequenceStep(id="x" * MAX_ID_LENGTH)),
    ],
)
def test_a_sequence_has_a_number_or_a_name(parameters, step):
    assert read_wishes(parameters, has_state=True).sequence == step


@pytest.mark.parametrize("sequence_id", [0, ""])
@pytest.mark.parametrize("has_state", [True, False])
def test_no_identifier_is_no_sequence_whatever_the_model(sequence_id, has_state):
    """Clients send these for requests that belong to none."""
    parameters = {"sequence_id": sequence_id, "sequence_start": False, "sequence_end": False}

    assert read_wishes(parameters, has_state=has_state) == NO_WISHES


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"sequence_id": -1}, "sequence_id"),
        ({"sequence_id": 2**64}, "sequence_id"),
        ({"sequence_id": 1.5}, "sequence_id"),
        ({"sequence_id": True}, "sequence_id"),
        ({"sequence_id": "x" * (MAX_ID_LENGTH + 1)}, "sequence_id"),
        ({"sequence_id": 1, "sequence_start": 1}, "sequence_start"),
        ({"sequence_start": True}, "sequence_start"),
        ({"sequence_id": 0, "sequence_end": True}, "sequence_end"),
        ({"request_class": "urgent"}, "request_class"),
        ({"request_class": 1}, "request_class"),
        ({"priority": -1}, "priority"),
        ({"priority": True}, "priority"),
        ({"timeout": "soon"}, "timeout"),
        ({"binary_data_output": 1}, "binary_data_output"),
        ({"classification": 3}, "classification"),
        ({"shared_memory_region": "r"}, "shared_memory_region"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(parameters, key):
    with pytest.raises(RequestError) as caught:
        read_wishes(parameters, has_state=True)

    assert caught.value.pointer == f"/parameters/{key}"


def test_a_model_without_a_state_says_that_it_takes_no_sequences():
    with pytest.raises(RequestError, match="keeps no state") as caught:
        read_wishes({"sequence_id": 1, "sequence_start": True}, has_state=False)

    assert caught.value.pointer == "/parameters/sequence_id"


def test_extensions_that_are_refused_are_not_listed():
    assert not {"classification", "system_shared_memory", "cuda_shared_memory"} & set(EXTENSIONS)


KEYS = st.sampled_from(
    ["sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "request_class", "binary_data_output", "x"]
)


@given(
    parameters=st.dictionaries(KEYS, st.booleans() | st.integers() | st.floats() | st.text(max_size=200)),
    has_state=st.booleans(),
)
def test_any_parameters_are_read_or_refused(parameters, has_state):
    try:
        wishes = read_wishes(parameters, has_state=has_state)
    except RequestError:
        return
    assert wishes.sequence is None or has_state
    assert wishes.timeout_s is None or wishes.timeout_s > 0
