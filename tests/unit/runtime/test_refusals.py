"""Errors on the tensor socket say what problem bodies on HTTP say."""

import pytest

from edged.api.http.problems import for_error
from edged.errors import DeadlineError, PoisonError, QuotaError, SequenceError, TensorError, UnavailableError
from edged.runtime.refusals import RoomError, refusal
from edged.tensor_socket import decode_to_client, encode


@pytest.mark.parametrize(
    "error",
    [
        TensorError("wrong", hint="mend it"),
        SequenceError("unknown"),
        PoisonError("again"),
        DeadlineError("late"),
        UnavailableError("full", retry_after_s=7),
        QuotaError("too many", limit="limits.burst", retry_after_s=3),
    ],
)
def test_status_code_and_words_are_those_of_http(error):
    problem, message = for_error(error), refusal(error, request=5)

    assert (message.request, message.status, message.code) == (5, problem.status, problem.code)
    assert (message.message, message.hint) == (problem.detail, problem.hint)
    assert message.retry_after_ms == 1000 * (problem.retry_after_s or 0)


def test_an_output_without_room_says_what_it_needs():
    message = refusal(RoomError("y", output=3, room_bytes=1, needed_bytes=99), request=1)

    assert (message.output, message.needed_bytes, message.status) == (3, 99, 400)


def test_words_of_any_length_and_kind_can_be_sent():
    message = refusal(TensorError("x" * 100_000 + "\ud800", hint="\ud800" * 5000))

    assert decode_to_client(encode(message)) == message
