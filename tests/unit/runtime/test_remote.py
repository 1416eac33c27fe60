"""A worker is not trusted: its answers are checked like anybody's."""

import pytest

from edged.errors import BackendError, DigestMismatchError, TensorError, UnsafeModelError
from edged.runtime.remote import error_of, result_of
from edged.runtime.wire import Failed, Inferred, Loaded, TensorHead, WireError
from tests.fakes.workers import spec_of

WANTED = [spec_of("y", "FP32", (-1,))]


def answer(**changes):
    head = {"name": "y", "dtype": "FP32", "shape": (2,), "size": 8} | changes
    return Inferred(request=7, tensors=(TensorHead(**head),), run_s=0.5)


def test_an_answer_becomes_a_result():
    result = result_of(answer(), bytearray(8), request=7, wanted=WANTED)

    assert result.run_s == 0.5
    assert (result.outputs[0].name, result.outputs[0].shape) == ("y", (2,))


@pytest.mark.parametrize(
    ("message", "size"),
    [
        (answer(name="z"), 8),
        (answer(dtype="INT32"), 8),
        (answer(shape=(1, 2)), 8),
        (answer(shape=(3,)), 8),
        (answer(dtype="BYTES"), 8),
        (Inferred(request=7, tensors=(), run_s=0), 0),
        (Inferred(request=6, tensors=answer().tensors, run_s=0), 8),
        (Failed(request=6, code="tensor-invalid", message=""), 0),
        (Failed(request=None, code="tensor-invalid", message=""), 0),
        (Loaded(load_s=0, runtime=""), 0),
    ],
)
def test_an_answer_that_was_not_asked_for_is_refused(message, size):
    with pytest.raises(WireError):
        result_of(message, bytearray(size), request=7, wanted=WANTED)


@pytest.mark.parametrize("error", [TensorError, UnsafeModelError, DigestMismatchError])
def test_an_error_arrives_as_what_it_was(error):
    with pytest.raises(error, match="why") as caught:
        result_of(Failed(request=7, code=error.code, message="why", hint="do"), bytearray(), request=7, wanted=WANTED)
    assert caught.value.hint == "do"


@pytest.mark.parametrize("code", ["no-such-code", "not-permitted", "signature-invalid"])
def test_an_error_a_worker_cannot_have_is_a_backend_error(code):
    """A worker must not be able to say that a signature or a permission is wrong."""
    assert type(error_of(Failed(code=code, message=""))) is BackendError


def test_what_is_no_error_is_refused():
    with pytest.raises(WireError):
        error_of(answer())
