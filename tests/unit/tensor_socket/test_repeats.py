"""What is known from the message before need not be read or written again, and never means something else."""

from hypothesis import assume, given
from hypothesis import strategies as st

from edged.tensor_socket import Infer, Placed, ProtocolError, Result, Room, decode_to_client, decode_to_server, encode
from edged.tensor_socket.repeats import InferHead, renumber_result, split_infer, split_result

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
heads = st.builds(InferHead, st.integers(1, 2**64 - 1), st.booleans(), st.booleans(), u64, u32, u16)
placed = st.builds(Placed, index=u32, shape=st.lists(st.integers(0, 99), max_size=3).map(tuple), offset=u64, size=u64)
arrangements = st.tuples(
    st.lists(placed, max_size=3).map(tuple),
    st.lists(st.builds(Room, index=u32, offset=u64, capacity=u64), min_size=1, max_size=3).map(tuple),
)


def message(head: InferHead, arrangement) -> bytes:
    inputs, outputs = arrangement
    return encode(Infer(inputs=inputs, outputs=outputs, **head._asdict()))


def split(data: bytes):
    return split_infer(memoryview(data[:16]), memoryview(data[16:]))


@given(heads, arrangements)
def test_a_request_is_split_into_what_changes_and_what_stays(head, arrangement):
    found, _ = split(message(head, arrangement))

    assert found == head


@given(heads, heads, arrangements, arrangements)
def test_arrangements_have_the_same_bytes_if_and_only_if_they_are_the_same(one, two, first, second):
    assert (split(message(one, first))[1] == split(message(two, second))[1]) == (first == second)


@given(heads, arrangements, st.data())
def test_a_changed_request_is_split_only_if_its_header_is_good(head, arrangement, data):
    """What is wrong behind the header is found when the arrangement is read, which is no known one."""
    changed = bytearray(message(head, arrangement))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(16, len(changed))) :]
    try:
        whole = decode_to_server(changed)
    except ProtocolError:
        assume(split(bytes(changed)) is not None)
        assert split(bytes(changed))[1] != split(message(head, arrangement))[1] or len(changed) < 32
    else:
        assume(isinstance(whole, Infer))
        assert split(bytes(changed))[0].request == whole.request


@given(st.binary(min_size=16, max_size=64))
def test_anything_else_is_not_split(data):
    assert split(data) is None


@given(st.lists(placed, min_size=1, max_size=3).map(tuple), st.integers(1, 2**64 - 1), u64)
def test_an_answer_becomes_that_of_the_next_request(outputs, request, run_ns):
    datagram = bytearray(encode(Result(request=7, run_ns=8, outputs=outputs)))

    renumber_result(datagram, request=request, run_ns=run_ns)

    assert decode_to_client(datagram) == Result(request=request, run_ns=run_ns, outputs=outputs)


outputs_of_any_kind = st.lists(placed, min_size=1, max_size=3).map(tuple)


@given(st.integers(1, 2**64 - 1), u64, u64, outputs_of_any_kind, outputs_of_any_kind)
def test_answers_have_the_same_bytes_if_and_only_if_their_outputs_are_the_same(
    request, first_ns, second_ns, first, second
):
    one = split_result(encode(Result(request=request, run_ns=first_ns, outputs=first)))
    two = split_result(encode(Result(request=5, run_ns=second_ns, outputs=second)))

    assert (one[0], two[0]) == (request, 5)
    assert (one[1] == two[1]) == (first == second)


@given(st.lists(placed, min_size=1, max_size=3).map(tuple), st.integers(0, 1000), st.integers(0, 1000))
def test_answers_of_different_scales_have_different_bytes(outputs, first, second):
    one, two = (
        split_result(encode(Result(request=1, run_ns=1, outputs=outputs, scale_permille=scale)))
        for scale in (first, second)
    )

    assert (one == two) == (first == second)


@given(st.binary(max_size=64))
def test_what_is_no_answer_is_not_split(data):
    assert split_result(data) is None
