"""Clients that ask for what cannot be, say what nobody understands, or do not read: each hurts its own connection only."""

import socket

import pytest

from edged.runtime.lending import Board
from edged.runtime.wire import WireError
from edged.tensor_socket import Error, Infer, Open, Placed, Room, encode
from tests.fakes.borrowers import HALF, MEMORY_BYTES
from tests.fakes.lendings import ONE, Bench, double
from tests.fakes.open_files import open_files
from tests.fakes.workers import spec_of


def test_an_output_of_a_known_size_needs_room_before_anything_runs(tmp_path):
    ran = []

    def note(x):
        ran.append(1)
        return {"y": x}

    with Bench(tmp_path, note, outputs=(spec_of("y", "FP32", (3,)),)) as lending:
        error = lending.lend().ask(ONE, rooms=(Room(index=0, offset=HALF, capacity=11),))

    assert (error.code, error.status, error.output, error.needed_bytes) == ("tensor-invalid", 400, 0, 12)
    assert not ran


def test_an_output_of_unknown_size_that_does_not_fit_says_what_it_needs(lending):
    loan = lending.lend()
    error = loan.ask(ONE, rooms=(Room(index=0, offset=HALF, capacity=11),))

    assert (error.code, error.output, error.needed_bytes, error.is_closing) == ("tensor-invalid", 0, 12, False)
    assert loan.ask(ONE, rooms=(Room(index=0, offset=HALF, capacity=12),)).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("inputs", "outputs", "complaint"),
    [
        ((Placed(index=2, shape=(1,), offset=0, size=4),), None, "input 0: the model has no input 2"),
        ((), None, "expected x"),
        ((Placed(index=0, shape=(1,), offset=0, size=4),) * 2, None, "inputs are x, x"),
        ((Placed(index=0, shape=(1,), offset=32, size=4),), None, "offset 32 is not a multiple of 64"),
        ((Placed(index=0, shape=(1,), offset=MEMORY_BYTES, size=4),), None, "reach past the end"),
        ((Placed(index=0, shape=(1,), offset=2**63, size=2**63),), None, "reach past the end"),
        ((Placed(index=0, shape=(2,), offset=0, size=4),), None, "has 8 bytes, got 4"),
        ((Placed(index=0, shape=(1, 1), offset=0, size=4),), None, "shape is"),
        ((Placed(index=0, shape=(2**40,), offset=0, size=4),), None, "bytes, got 4"),
        (None, (Room(index=1, offset=HALF, capacity=4),), "output 0: the model has no output 1"),
        (None, (Room(index=0, offset=HALF, capacity=64),) * 2, "named twice"),
        (None, (Room(index=0, offset=HALF + 1, capacity=4),), "is not a multiple"),
        (None, (Room(index=0, offset=MEMORY_BYTES - 64, capacity=65),), "reach past the end"),
    ],
)
def test_a_request_with_a_mistake_is_answered_and_the_next_one_is_too(lending, inputs, outputs, complaint):
    loan = lending.lend()
    good = (Placed(index=0, shape=(1,), offset=0, size=4),)
    room = (Room(index=0, offset=HALF, capacity=64),)
    loan.say(encode(Infer(request=5, inputs=good if inputs is None else inputs, outputs=outputs or room)))

    error = loan.receive()
    assert isinstance(error, Error)
    assert (error.request, error.status, error.is_closing) == (5, 400, False)
    assert complaint in error.message
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_flags_of_a_sequence_without_one_and_sequences_without_states_are_mistakes(lending):
    loan = lending.lend()

    assert "names none" in loan.ask(ONE, is_start=True).message
    assert "keeps no state" in loan.ask(ONE, sequence=1).message
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("garbage", [b"x", b"\0" * 16, bytes(range(64)), b"\xff" * 70_000, encode(Open(model="m"))])
def test_what_is_no_request_ends_the_connection_with_the_reason(lending, garbage):
    loan, other = lending.lend(), lending.lend()
    loan.say(garbage)

    error = loan.receive()
    assert (error.code, error.status, error.is_closing, error.request) == ("request-invalid", 400, True, 0)
    assert lending.returned() == (loan.number, "refused")
    assert other.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_a_request_that_is_damaged_behind_its_header_ends_the_connection(lending):
    loan = lending.lend()
    loan.ask(ONE)
    datagram = bytearray(
        encode(Infer(request=1, inputs=(loan.place(ONE),), outputs=(Room(index=0, offset=0, capacity=0),)))
    )
    datagram[36] = 99
    loan.say(bytes(datagram))

    assert "INFER, input 0, rank: 99" in loan.receive().message
    assert lending.returned() == (loan.number, "refused")


def test_a_message_of_no_bytes_ends_the_connection(lending):
    """Nothing tells it from the end, so it is the end."""
    loan = lending.lend()
    loan.say(b"")

    assert lending.returned() == (loan.number, "closed")


def test_descriptors_that_come_with_a_request_are_not_taken(lending):
    loan = lending.lend()
    lending.settle()
    before = open_files()
    placed = (loan.place(ONE),)
    datagram = encode(Infer(request=1, inputs=placed, outputs=(Room(index=0, offset=HALF, capacity=64),)))
    socket.send_fds(loan.connection, [datagram], [0, 1])

    assert loan.read(loan.receive()).tolist() == [2.0, 2.0, 2.0]
    assert open_files() == before


def test_a_client_that_does_not_read_its_answers_loses_its_connection_and_nobody_waits_for_it(lending):
    loan, other = lending.lend(), lending.lend()
    # The least that the kernel allows: a few answers.
    loan.lent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for _ in range(30):
        loan.send(ONE)

    assert lending.returned() == (loan.number, "refused")
    assert other.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_memory_that_was_changed_meanwhile_is_given_back(lending):
    assert lending.lend(memory_bytes=MEMORY_BYTES * 2).number == 1
    assert lending.returned() == (1, "unusable")


def test_a_model_without_memory_for_a_request_answers_that(tmp_path):
    def greedy(x):
        raise MemoryError

    with Bench(tmp_path, greedy) as lending:
        loan = lending.lend()
        assert "memory limit" in loan.ask(ONE).message
        assert "memory limit" in loan.ask(ONE).message


def test_a_daemon_that_breaks_the_protocol_ends_the_worker(tmp_path):
    bench = Bench(tmp_path, double)
    with bench as lending:
        lending.tell(Board())
        assert isinstance(bench.mistake(), WireError)
