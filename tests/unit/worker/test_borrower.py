"""Connections in the worker that they are lent to: answered in order, within their terms, and given back when they are asked for."""

import math
import socket
import struct
import threading
import time

import numpy as np
import pytest

from edged.pipeline.spec import Pipeline
from edged.pipeline.steps import BytesWindow
from edged.runtime.lending import Board, Lease
from edged.runtime.wire import WireError
from edged.telemetry.row import CODES
from edged.tensor_socket import Error, Infer, Open, Placed, Room, encode
from edged.worker.arrangement import IN_PLACE_BYTES
from edged.worker.borrower import _milliseconds_until
from edged.worker.lent import MAX_ARRANGEMENTS
from edged.worker.pool import Pool
from edged.worker.turns import Turns
from tests.fakes.backends import FakeBackend
from tests.fakes.borrowers import HALF, LEASE, MEMORY_BYTES, Lending
from tests.fakes.fast_paths import open_files
from tests.fakes.near_ends import PATIENCE_S, NearEnd
from tests.fakes.workers import spec_of, worker_spec

MODEL = b"model"
X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
ONE = np.ones(3, np.float32)
LARGE = np.arange(IN_PLACE_BYTES // 4, dtype=np.float32)


class Gate:
    """A model that tells when it runs and waits until it may go on, or is stopped."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.running = 0
        self.most_running = 0
        self.order: list[float] = []

    def __call__(self, x, stop):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.order.append(float(x[0]))
        self.entered.release()
        while not stop.is_set() and not self.leave.acquire(timeout=0.01):
            pass
        self.running -= 1
        return {"y": x}


class Bench:
    def __init__(self, directory, model, *, inputs=(X,), outputs=(Y,), **settings) -> None:
        spec = worker_spec(MODEL, inputs, outputs, **settings)
        self.worker = NearEnd(spec, FakeBackend({MODEL: model}), directory, MODEL)

    def __enter__(self) -> Lending:
        self.worker.__enter__()
        self.worker.load()
        self.lending = Lending(self.worker)
        return self.lending

    def __exit__(self, *error: object) -> None:
        self.lending.close()
        self.worker.__exit__(*error)

    def mistake(self) -> BaseException:
        return self.worker.mistake()


def double(x):
    return {"y": x * 2}


@pytest.fixture
def lending(tmp_path):
    with Bench(tmp_path, double) as lending:
        yield lending


@pytest.fixture
def gate():
    return Gate()


def counted(lending) -> dict[str, int]:
    return {code: count for code, count in zip(CODES, lending.board.counts(), strict=False) if count}


def test_requests_are_answered_in_the_clients_memory(lending):
    loan = lending.lend()

    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]
    assert loan.ask(ONE * 3, request=2).tolist() == [6.0, 6.0, 6.0]


def test_answers_have_the_numbers_of_their_requests_and_come_in_order(lending):
    """Also when all were sent before the first was answered, and when they differ in nothing but their number."""
    loan = lending.lend()
    for request in (7, 8, 2**64 - 1):
        loan.send(ONE, request=request)

    assert [loan.receive().request for _ in range(3)] == [7, 8, 2**64 - 1]


def test_one_request_of_a_connection_runs_at_a_time_and_connections_beside_each_other(tmp_path, gate):
    with Bench(tmp_path, gate, parallel=3) as lending:
        first, second = lending.lend(), lending.lend()
        for request in (1, 2):
            first.send(ONE, request=request)
        second.send(ONE)
        for _ in range(2):
            assert gate.entered.acquire(timeout=PATIENCE_S)
        assert gate.running == 2
        for _ in range(3):
            gate.leave.release()

        assert [first.receive().request, first.receive().request, second.receive().request] == [1, 2, 1]
        assert gate.most_running == 2


def test_priority_and_class_decide_whose_turn_is_next(lending, monkeypatch):
    ranks = []
    enter = Turns.enter

    def noted(turns, ticket):
        ranks.append(ticket.rank)
        enter(turns, ticket)

    monkeypatch.setattr(Turns, "enter", noted)
    interactive, background = lending.lend(), lending.lend(is_background=True)
    for loan, priority in ((interactive, 1), (interactive, 0), (interactive, 9), (background, 1), (background, 0)):
        loan.ask(ONE, priority=priority)

    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_a_small_input_is_copied_before_the_model_sees_it(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        loan.place(ONE * 9)
        gate.leave.release()

        assert loan.read(loan.receive()).tolist() == ONE.tolist()


def test_a_large_input_of_numbers_is_read_where_it_lies(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(LARGE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        loan.place(LARGE * 2)
        gate.leave.release()

        assert loan.read(loan.receive()).tolist() == (LARGE * 2).tolist()


@pytest.mark.parametrize("pipeline_steps", [False, True])
def test_a_large_input_that_could_be_places_or_goes_through_steps_is_copied(tmp_path, pipeline_steps):
    """Integers of 32 bits could be; and what the steps before the model do with their input is theirs."""
    inside, leave = threading.Event(), threading.Event()

    def first(x):
        inside.set()
        assert leave.wait(PATIENCE_S)
        return {"y": x[:1].astype(np.float32)}

    window = spec_of("x", "INT32", (1, 8)) if pipeline_steps else spec_of("x", "INT32", (-1,))
    pipeline = Pipeline(
        inputs=(spec_of("file", "BYTES", (1,)),),
        pre=(BytesWindow(input="file", output="x", begin=4, end=4, block=64, padding=0),),
        outputs=(Y,),
    )

    def start(x):
        return first(x.ravel())

    with Bench(tmp_path, start, inputs=(window,), pipeline=pipeline if pipeline_steps else None) as lending:
        loan = lending.lend()
        text = np.frombuffer(struct.pack("<I", IN_PLACE_BYTES) + b"\x07" * IN_PLACE_BYTES, np.uint8)
        loan.memory[: len(text)] = text.tobytes()
        numbers = np.full(IN_PLACE_BYTES // 4, 7, np.int32)
        placed = Placed(index=0, shape=(1,), offset=0, size=len(text)) if pipeline_steps else loan.place(numbers)
        loan.say(encode(Infer(request=1, inputs=(placed,), outputs=(Room(index=0, offset=HALF, capacity=4096),))))
        assert inside.wait(PATIENCE_S)
        loan.memory[:HALF] = b"\xff" * HALF
        leave.set()

        assert loan.read(loan.receive()).tolist() == [7.0]


def test_models_own_inputs_have_numbers_behind_the_pipelines(tmp_path):
    pipeline = Pipeline(
        inputs=(spec_of("file", "BYTES", (1,)),),
        pre=(BytesWindow(input="file", output="x", begin=4, end=4, block=64, padding=0),),
        outputs=(spec_of("y", "FP32", (1, 8)),),
    )

    def floats(x):
        return {"y": x.astype(np.float32)}

    with Bench(
        tmp_path, floats, inputs=(spec_of("x", "INT32", (1, 8)),), outputs=pipeline.outputs, pipeline=pipeline
    ) as lending:
        loan = lending.lend()
        raw = np.arange(8, dtype=np.int32).reshape(1, 8)
        room = Room(index=0, offset=HALF, capacity=4096)
        loan.say(encode(Infer(request=1, inputs=(loan.place(raw, index=1),), outputs=(room,))))
        assert loan.read(loan.receive()).tolist() == raw.tolist()

        mixed = (loan.place(raw, index=1), Placed(index=0, shape=(1,), offset=64, size=4))
        loan.say(encode(Infer(request=2, inputs=mixed, outputs=(room,))))
        assert "mixed" in loan.receive().message


def test_texts_are_read_anew_in_each_request(tmp_path):
    texts, lengths = spec_of("x", "BYTES", (-1,)), spec_of("y", "FP32", (-1,))

    def measure(x):
        return {"y": np.array([len(item) for item in x], np.float32)}

    with Bench(tmp_path, measure, inputs=(texts,), outputs=(lengths,)) as lending:
        loan = lending.lend()
        for length in (5, 7):
            words = [b"a" * length, b"b" * (12 - length)]
            data = b"".join(struct.pack("<I", len(word)) + word for word in words)
            loan.memory[: len(data)] = data
            placed = Placed(index=0, shape=(2,), offset=0, size=len(data))
            loan.say(encode(Infer(request=1, inputs=(placed,), outputs=(Room(index=0, offset=HALF, capacity=64),))))

            assert loan.read(loan.receive()).tolist() == [length, 12 - length]


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


def test_several_outputs_come_in_the_order_in_which_they_are_wanted(tmp_path):
    outputs = (spec_of("y", "FP32", (-1,)), spec_of("z", "FP32", (-1,)))
    with Bench(tmp_path, lambda x: {"y": x, "z": x + 1}, outputs=outputs) as lending:
        loan = lending.lend()
        rooms = (Room(index=1, offset=HALF, capacity=4096), Room(index=0, offset=HALF + 4096, capacity=4096))
        loan.send(ONE, rooms=rooms)
        answer = loan.receive()

        assert [item.index for item in answer.outputs] == [1, 0]
        assert loan.read(answer).tolist() == [2.0, 2.0, 2.0]


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


def test_sequences_go_on_within_a_connection_and_belong_to_the_caller(tmp_path):
    state, following = spec_of("total", "FP32", (3,)), spec_of("next", "FP32", (3,))

    def total(x, total):
        return {"y": x + total, "next": x + total}

    with Bench(tmp_path, total, inputs=(X, state), outputs=(Y, following), state={"total": "next"}) as lending:
        loan, same, other = lending.lend(uid=1), lending.lend(uid=1), lending.lend(uid=2)
        assert loan.ask(ONE, sequence=4, is_start=True).tolist() == [1.0, 1.0, 1.0]
        assert loan.ask(ONE, sequence=4).tolist() == [2.0, 2.0, 2.0]
        assert same.ask(ONE, sequence=4).tolist() == [3.0, 3.0, 3.0]
        assert other.ask(ONE, sequence=4).code == "sequence-unknown"
        assert loan.ask(ONE, sequence=4, is_end=True).tolist() == [4.0, 4.0, 4.0]
        assert loan.ask(ONE, sequence=4).code == "sequence-unknown"
        # The model's own inputs, states included, may come in place of the pipeline's.
        assert loan.ask(ONE, ONE * 5).tolist() == [6.0, 6.0, 6.0]


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


def test_a_client_that_leaves_is_given_back(lending):
    loan, other = lending.lend(), lending.lend()
    loan.ask(ONE)
    loan.connection.close()

    assert lending.returned() == (loan.number, "closed")
    assert other.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_a_client_that_leaves_while_its_request_runs_is_given_back_afterwards(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        loan.connection.close()
        gate.leave.release()

        assert lending.returned() == (loan.number, "closed")


def test_a_client_that_does_not_read_its_answers_loses_its_connection_and_nobody_waits_for_it(lending):
    loan, other = lending.lend(), lending.lend()
    # The least that the kernel allows: a few answers.
    loan.lent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for _ in range(30):
        loan.send(ONE)

    assert lending.returned() == (loan.number, "refused")
    assert other.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_an_idle_connection_is_given_back_at_once_with_all_that_was_not_read(lending):
    loan = lending.lend()
    loan.ask(ONE)

    lending.revoke(loan)
    assert lending.returned() == (loan.number, "revoked")
    loan.send(ONE, request=2)
    assert loan.lent.recv(1 << 16)[8:16] == (2).to_bytes(8, "little")


def test_a_busy_connection_is_given_back_when_its_request_is_answered(tmp_path, gate, monkeypatch):
    is_revoked = threading.Event()
    remove = Pool.remove

    def remove_and_tell(pool, source):
        remove(pool, source)
        is_revoked.set()

    monkeypatch.setattr(Pool, "remove", remove_and_tell)
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE, request=1)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        lending.revoke(loan)
        assert is_revoked.wait(PATIENCE_S), "otherwise the next request may be taken first"
        loan.send(ONE, request=2)
        gate.leave.release()

        assert lending.returned() == (loan.number, "revoked")
        assert loan.receive().request == 1
        assert loan.lent.recv(1 << 16)[8:16] == (2).to_bytes(8, "little")


def test_an_urgent_revocation_stops_the_request(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        lending.revoke(loan, is_urgent=True)

        assert lending.returned() == (loan.number, "revoked")
        assert loan.receive().code == "deadline-exceeded"


def test_revoking_what_came_back_already_does_nothing(lending):
    loan, other = lending.lend(), lending.lend()
    lending.revoke(loan)
    assert lending.returned() == (loan.number, "revoked")

    lending.revoke(loan, is_urgent=True)
    lending.amend(loan, LEASE)
    lending.revoke(other)
    assert lending.returned() == (other.number, "revoked")


def test_a_connection_can_be_lent_again(lending):
    loan = lending.lend()
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]
    lending.revoke(loan)
    lending.returned()
    loan.send(ONE, request=2)
    lending.lend_again(loan)

    assert loan.receive().request == 2


def test_requests_beyond_the_rate_are_refused_with_when_to_come_again(lending):
    loan = lending.lend(lease=Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=2))
    assert [isinstance(loan.ask(ONE), Error) for _ in range(2)] == [False, False]

    error = loan.ask(ONE, request=9)
    assert (error.request, error.status, error.code, error.is_closing) == (9, 429, "quota-exceeded", False)
    assert 90_000 < error.retry_after_ms <= 100_000
    assert counted(lending) == {"ok": 2}


def test_other_terms_hold_from_the_next_request_on(lending):
    loan = lending.lend(lease=Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=1))
    loan.ask(ONE)
    assert loan.ask(ONE).code == "quota-exceeded"

    lending.amend(loan, LEASE)
    lending.settle()
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]
    lending.amend(loan, Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=1))
    lending.settle()
    loan.ask(ONE)
    assert loan.ask(ONE).code == "quota-exceeded"


@pytest.mark.parametrize(("asked_us", "lease_s"), [(20_000, PATIENCE_S), (0, 0.02), (4_000_000_000, 0.02)])
def test_a_request_that_runs_beyond_its_deadline_is_stopped_and_others_go_on(tmp_path, gate, asked_us, lease_s):
    """The shorter of what it asks for and what the connection may ask for; an earlier one is seen behind a later one."""
    with Bench(tmp_path, gate, parallel=2) as lending:
        patient, hasty = lending.lend(), lending.lend(lease=Lease(deadline_s=lease_s))
        patient.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)

        error = hasty.ask(ONE, deadline_us=asked_us)
        assert (error.status, error.code, error.is_closing) == (504, "deadline-exceeded", False)
        gate.leave.release()
        assert patient.read(patient.receive()).tolist() == ONE.tolist()


def test_a_request_whose_deadline_comes_while_it_waits_never_runs(tmp_path, gate):
    with Bench(tmp_path, gate, parallel=1) as lending:
        first, second = lending.lend(), lending.lend()
        first.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)

        assert second.ask(ONE * 2, deadline_us=1000).code == "deadline-exceeded"
        gate.leave.release()
        first.receive()
        assert gate.order == [1.0]


def test_what_is_under_way_and_what_was_done_is_on_the_board(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        assert lending.board.under_way() == {}
        loan.send(ONE, request=77)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        (under_way,) = lending.board.under_way().values()
        assert under_way.request == 77
        assert under_way.began_ns < under_way.deadline_ns <= under_way.began_ns + PATIENCE_S * 1e9
        gate.leave.release()
        loan.receive()
        loan.ask(np.ones((2, 2), np.float32))
        lending.revoke(loan)
        lending.returned()

        assert lending.board.under_way() == {}
        assert counted(lending) == {"ok": 1, "tensor-invalid": 1}


def test_many_arrangements_and_their_copies_do_not_pile_up(lending):
    loan = lending.lend()
    for i in range(3 * MAX_ARRANGEMENTS):
        room = Room(index=0, offset=HALF + 64 * i, capacity=4096)
        assert loan.ask(np.full(i + 1, i, np.float32), rooms=(room,)).tolist() == [2.0 * i] * (i + 1)


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


def test_a_borrower_sleeps_as_long_as_there_is_no_deadline_to_keep():
    """Awake, it would take a core from the models, with every model once more."""
    day_ms = 86_400_000

    assert _milliseconds_until(math.inf) > day_ms
    assert _milliseconds_until(time.monotonic_ns() + 60 * 10**9) > 1000
    assert _milliseconds_until(time.monotonic_ns() - 1) == 0
