"""Connections in the worker that they are lent to: requests are answered in order, in the memory of their clients."""

import struct
import threading

import numpy as np
import pytest

from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow
from edged.tensor_socket import Infer, Placed, Room, encode
from edged.worker.arrangement import IN_PLACE_BYTES
from edged.worker.lent import MAX_ARRANGEMENTS
from edged.worker.turns import Turns
from tests.fakes.borrowers import HALF
from tests.fakes.lendings import LARGE, ONE, Bench, X, Y
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of


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


def test_several_outputs_come_in_the_order_in_which_they_are_wanted(tmp_path):
    outputs = (spec_of("y", "FP32", (-1,)), spec_of("z", "FP32", (-1,)))
    with Bench(tmp_path, lambda x: {"y": x, "z": x + 1}, outputs=outputs) as lending:
        loan = lending.lend()
        rooms = (Room(index=1, offset=HALF, capacity=4096), Room(index=0, offset=HALF + 4096, capacity=4096))
        loan.send(ONE, rooms=rooms)
        answer = loan.receive()

        assert [item.index for item in answer.outputs] == [1, 0]
        assert loan.read(answer).tolist() == [2.0, 2.0, 2.0]


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


def test_many_arrangements_and_their_copies_do_not_pile_up(lending):
    loan = lending.lend()
    for i in range(3 * MAX_ARRANGEMENTS):
        room = Room(index=0, offset=HALF + 64 * i, capacity=4096)
        assert loan.ask(np.full(i + 1, i, np.float32), rooms=(room,)).tolist() == [2.0 * i] * (i + 1)
