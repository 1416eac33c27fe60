"""A worker is not trusted: what it says is checked like anybody's words."""

import pytest

from edged.errors import BackendError, DeadlineError, DigestMismatchError, SequenceError, TensorError, UnsafeModelError
from edged.host.remote import check_heads, error_of, printable, tensor_of
from edged.pipeline.datatypes import MAX_BYTES_ELEMENTS, pack_bytes
from edged.runtime.wire import Failed, LoadFailed, TensorHead, WireError
from tests.fakes.workers import spec_of

WANTED = [spec_of("y", "FP32", (-1,)), spec_of("text", "BYTES", (1,))]
TEXT = TensorHead(name="text", dtype="BYTES", shape=(1,), size=6)


def number(**changes):
    return TensorHead(**{"name": "y", "dtype": "FP32", "shape": (2,), "size": 8} | changes)


def test_heads_that_are_as_the_manifest_says_pass():
    check_heads([number(), TEXT], WANTED)


@pytest.mark.parametrize(
    "heads",
    [
        [],
        [number()],
        [TEXT, number()],
        [number(), TEXT, number()],
        [number(name="z"), TEXT],
        [number(dtype="INT32"), TEXT],
        [number(dtype="BYTES"), TEXT],
        [number(shape=(1, 2)), TEXT],
        [number(shape=(3,)), TEXT],
        [number(size=9), TEXT],
        [number(shape=(2**62, 2**62), size=0), TEXT],
    ],
)
def test_heads_that_are_not_are_refused(heads):
    with pytest.raises(WireError):
        check_heads(heads, WANTED)


def test_bytes_become_a_tensor():
    tensor = tensor_of(TEXT, b"\x02\x00\x00\x00hi")

    assert (tensor.name, tensor.dtype, tensor.shape, tensor.data) == ("text", "BYTES", (1,), b"\x02\x00\x00\x00hi")


@pytest.mark.parametrize(
    "data",
    [
        b"\x03\x00\x00\x00hi",
        b"\x01\x00\x00\x00hi",
        b"\x02\x00\x00\x00h",
        b"\x00\x00\x00\x00\x00\x00",
        b"\xff\xff\xff\xffhi",
    ],
)
def test_bytes_that_are_no_tensor_are_refused(data):
    with pytest.raises(WireError):
        tensor_of(TEXT, data)


@pytest.mark.parametrize("elements", [[], [b"a"], [b"a", b"b", b"c"]])
def test_another_number_of_elements_than_the_shape_has_is_refused(elements):
    data = pack_bytes(elements)
    with pytest.raises(WireError, match="2 elements"):
        tensor_of(TensorHead(name="text", dtype="BYTES", shape=(2,), size=len(data)), data)


def texts(count, size):
    return [TensorHead(name="text", dtype="BYTES", shape=(1, count), size=size)]


def test_as_many_elements_as_a_tensor_may_have_pass():
    check_heads(texts(MAX_BYTES_ELEMENTS, 4 * MAX_BYTES_ELEMENTS), [spec_of("text", "BYTES", (1, -1))])


@pytest.mark.parametrize(
    ("count", "size", "complaint"),
    [
        (MAX_BYTES_ELEMENTS + 1, 1 << 30, "at most 65536"),
        (1 << 62, 1 << 32, "does not have 4294967296 bytes"),
        (2, 7, "does not have 7 bytes"),
    ],
)
def test_more_elements_than_a_tensor_may_have_are_refused_before_their_bytes_are_read(count, size, complaint):
    """Each would cost an object here, in the API and in its client, whatever its size."""
    with pytest.raises(WireError, match=complaint):
        check_heads(texts(count, size), [spec_of("text", "BYTES", (1, -1))])


@pytest.mark.parametrize("error", [TensorError, UnsafeModelError, DigestMismatchError, DeadlineError, SequenceError])
def test_an_error_arrives_as_what_it_was(error):
    found = error_of(Failed(code=error.code, message="why", hint="do"))

    assert type(found) is error
    assert (found.message, found.hint) == ("why", "do")


@pytest.mark.parametrize("code", ["no-such-code", "not-permitted", "signature-invalid", "quota-exceeded"])
def test_an_error_a_worker_cannot_have_is_a_backend_error(code):
    """A worker must not be able to say that a signature or a permission is wrong."""
    assert type(error_of(LoadFailed(code=code, message=""))) is BackendError


def test_a_workers_words_command_no_terminal():
    found = error_of(Failed(code="backend-failed", message="red: \x1b[31m\r\nnext", hint="\x07"))

    assert found.message == "red:  [31m  next"
    assert found.hint == " "
    assert printable("Größe 漢") == "Größe 漢"
