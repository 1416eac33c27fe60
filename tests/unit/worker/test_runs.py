"""Messages of the runs channel, one by one: where tensors lie, rooms for answers, and stops that come early."""

import mmap
import os
import time
from pathlib import Path

import numpy as np
import pytest

from edged.host.channel import make_pair
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import (
    ALIGNMENT,
    FROM_RUNS,
    INLINE_BYTES,
    MAX_BATCH,
    MAX_DATAGRAM_BYTES,
    MAX_TENSORS,
    Item,
    Run,
    TensorHead,
    WireError,
    decode,
    encode,
)
from edged.worker.arrays import to_tensor
from edged.worker.model import load_model
from edged.worker.replies import MAX_TEXT
from edged.worker.runs import MAX_EARLY_STOPS, Runs
from edged.worker.segments import Segments
from edged.worker.turns import Turns
from tests.fakes.backends import Blocking, FakeBackend
from tests.fakes.cores import ANY_CORES
from tests.fakes.near_ends import Channels, NearEnd, in_segment, outputs_of
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import item_of, opened, spec_of, worker_spec

MODEL = b"the model"
X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
LARGE = INLINE_BYTES // 4 + 1
"""Elements of a tensor that is just too large for a datagram."""


def worker(tmp_path, function, **fields):
    spec = worker_spec(MODEL, [X], [Y], **fields)
    return NearEnd(spec, FakeBackend({MODEL: function}), tmp_path, MODEL)


@pytest.fixture
def pool():
    return SharedMemory(max_bytes=lambda: 64 << 20)


@pytest.fixture
def echo(tmp_path):
    with worker(tmp_path, lambda x: {"y": x}) as near:
        near.load()
        yield near


@pytest.fixture
def growing(tmp_path):
    """Answers with as many ones as the request's first element says."""
    with worker(tmp_path, lambda x: {"y": np.ones(int(x[0]), np.float32)}) as near:
        near.load()
        yield near


def floats(*values):
    return to_tensor("x", np.array(values, dtype=np.float32))


def mappings_of(inode):
    """How many mappings of a file this process has: one is the daemon's part, played by the test."""
    return Path("/proc/self/maps").read_text().count(f" {inode} ")


place = Channels.place


def test_a_tensor_in_a_segment_is_read_there(echo, pool):
    segment = pool.take(100_000)

    echo.send_items(1, [in_segment(segment, floats(1, 2, 3), 640)], pieces=[segment])
    assert outputs_of(echo.answers()[1]) == [{"y": [1, 2, 3]}]
    # Its descriptor travels once; after that its number does.
    echo.send_items(2, [in_segment(segment, floats(4, 5), 64)])
    assert outputs_of(echo.answers()[1]) == [{"y": [4, 5]}]


def test_the_model_works_on_the_memory_itself(tmp_path, pool):
    """No copy lies between: what the model sees is where the daemon put it."""
    seen = []

    def model(x):
        seen.append((x.flags.owndata, x.flags.writeable, x.flags.aligned))
        return {"y": x[:1]}

    segment = pool.take(1 << 20)
    with worker(tmp_path, model) as near:
        near.load()
        near.send_items(1, [in_segment(segment, floats(*range(LARGE)), 64)], pieces=[segment])
        near.answers()

    assert seen == [(False, False, True)]


def test_tensors_in_segments_and_in_the_datagram_go_together(tmp_path, pool):
    inputs = [spec_of(name, "FP32", (-1,)) for name in "abc"]
    spec = worker_spec(MODEL, inputs, [Y])
    backend = FakeBackend({MODEL: lambda a, b, c: {"y": np.concatenate([a, b, c])}})
    segment = pool.take(1000)
    tensors = [to_tensor(name, np.full(2, i, np.float32)) for i, name in enumerate("abc")]
    item, parts = item_of(*tensors)
    segment.view[:8] = parts[1]
    first, second, third = item.tensors
    second = TensorHead(name="b", dtype="FP32", shape=(2,), size=8, segment=segment.number)

    with NearEnd(spec, backend, tmp_path, MODEL) as near:
        near.load()
        near.send_items(1, [Item(tensors=(first, second, third))], [parts[0], parts[2]], [segment])
        answers = near.answers()[1]

    assert outputs_of(answers) == [{"y": [0, 0, 1, 1, 2, 2]}]


def test_memory_that_was_dropped_is_not_read_again(echo, pool):
    segment = pool.take(1000)
    inode = os.fstat(segment.descriptor).st_ino
    echo.send_items(1, [in_segment(segment, floats(1))], pieces=[segment])
    echo.answers()
    assert mappings_of(inode) == 2

    echo.unmap(segment)
    while mappings_of(inode) > 1:
        os.sched_yield()
    echo.send_items(2, [in_segment(segment, floats(1))])

    assert isinstance(echo.mistake(), WireError)


def test_an_answer_that_is_small_goes_with_the_message_even_where_it_has_a_room(growing, pool):
    room = pool.take_room(100_000)
    item, parts = item_of(floats(3), room=place(room))
    growing.send_items(1, [item], parts, [room])

    ran, payload = growing.receive()

    assert len(payload) == 12
    assert outputs_of(growing.read(ran, payload)) == [{"y": [1, 1, 1]}]


def test_a_large_answer_goes_into_its_room(growing, pool):
    room = pool.take_room(1 << 20)
    item, parts = item_of(floats(LARGE), room=place(room, 4096))
    growing.send_items(1, [item], parts, [room])

    ran, payload = growing.receive()

    assert len(payload) == 0
    assert ran.answers[0].tensors[0].offset == 4096
    assert outputs_of(growing.read(ran, payload)) == [{"y": [1] * LARGE}]


def test_several_outputs_of_one_answer_lie_one_behind_the_other_aligned(tmp_path, pool):
    outputs = [Y, spec_of("b", "BYTES", (-1,)), spec_of("z", "FP32", (-1,))]
    texts = np.empty(2, dtype=object)
    texts[:] = [b"one", b""]
    answer = {"y": np.arange(LARGE, dtype=np.float32), "b": texts, "z": np.ones(3, np.float32)}
    spec = worker_spec(MODEL, [X], outputs)
    room = pool.take_room(1 << 20)
    item, parts = item_of(floats(1), room=place(room))

    with NearEnd(spec, FakeBackend({MODEL: lambda x: answer}), tmp_path, MODEL) as near:
        near.load()
        near.send_items(1, [item], parts, [room])
        ran, payload = near.receive()
        found = near.read(ran, payload)

    assert [head.offset % ALIGNMENT for head in ran.answers[0].tensors] == [0, 0, 0]
    assert outputs_of(found) == outputs_of([answer])


def test_a_large_answer_without_a_room_is_kept_until_there_is_one(growing, pool):
    growing.send(1, [floats(LARGE)])
    ran, _ = growing.receive()
    assert (ran.run, ran.answers) == (1, ())
    (needed,) = ran.room_bytes

    room = pool.take_room(needed)
    growing.give(1, place(room, size=needed), pieces=[room])

    assert outputs_of(growing.answers()[1]) == [{"y": [1] * LARGE}]


def test_a_room_that_is_too_small_is_the_same_as_none(growing, pool):
    small, large = pool.take_room(1), pool.take_room(1 << 20)
    item, parts = item_of(floats(100_000), room=place(small))
    growing.send_items(1, [item], parts, [small])
    ran, _ = growing.receive()

    assert ran.room_bytes == (400_000,)
    growing.give(1, place(large), pieces=[large])
    assert len(growing.answers()[1][0]["y"]) == 100_000


@pytest.mark.parametrize("size", [0, 64])
def test_an_answer_that_gets_no_room_is_an_error_and_others_are_not(growing, pool, size):
    room = pool.take_room(1000)
    growing.send(1, [floats(LARGE)], [floats(2)], [floats(-1)])
    ran, _ = growing.receive()
    needed = ran.room_bytes[0]
    assert ran.room_bytes == (needed, 0, 0)

    growing.give(1, place(room, size=size) if size else None, None, None, pieces=[room])
    without_room, small, bad = growing.answers()[1]

    assert (without_room.code, without_room.message) == (
        "backend-failed",
        f"there is no room for an answer of {needed} bytes",
    )
    assert small["y"].tolist() == [1, 1]
    assert bad.message == "negative dimensions are not allowed"


def test_answers_that_are_small_alone_but_not_together_ask_for_room(growing, pool):
    count, elements = MAX_BATCH, INLINE_BYTES // 8
    growing.send(1, *[[floats(elements)] for _ in range(count)])
    ran, _ = growing.receive()
    room = pool.take_room(sum(ran.room_bytes))
    assert 0 < sum(size > 0 for size in ran.room_bytes) < count

    offsets = np.cumsum([0, *ran.room_bytes])
    places = [
        place(room, int(offset), size) if size else None for offset, size in zip(offsets, ran.room_bytes, strict=False)
    ]
    growing.give(1, *places, pieces=[room])

    assert [len(answer["y"]) for answer in growing.answers()[1]] == [elements] * count


def test_small_answers_that_are_kept_survive_the_requests_that_come_meanwhile(tmp_path, pool):
    """The echo of bytes lies where they were received, and so will the bytes of the next message."""
    large = np.ones(INLINE_BYTES + 1, np.uint8)
    spec = worker_spec(MODEL, [spec_of("x", "UINT8", (-1,))], [spec_of("y", "UINT8", (-1,))])
    backend = FakeBackend({MODEL: lambda x: {"y": x if x[0] else large}})

    def of(*values):
        return [to_tensor("x", np.array(values, np.uint8))]

    with NearEnd(spec, backend, tmp_path, MODEL) as near:
        near.load()
        near.send(1, of(5, 6, 7), of(0))
        ran, _ = near.receive()
        for run in range(2, 50):  # many more than there are threads
            near.ask(of(*[9] * 1000), run=run)
        room = pool.take_room(ran.room_bytes[1])
        near.give(1, None, place(room), pieces=[room])
        small, _ = near.answers()[1]

    assert small["y"].tolist() == [5, 6, 7]


def test_no_more_answers_are_kept_than_runs_may_be_under_way(growing, pool):
    room = pool.take_room(1 << 20)
    for run in (1, 2):
        growing.send(run, [floats(LARGE)])
        growing.receive()

    for run in (1, 2):
        growing.give(run, place(room), pieces=[room])
    answers = dict([growing.answers(), growing.answers()])

    assert answers[1][0].message == "the answer was not kept any longer"
    assert len(answers[2][0]["y"]) == LARGE


def test_an_answer_is_given_while_all_runs_are_under_way(tmp_path, pool):
    """Otherwise a daemon with all turns taken would never get what it needs to free its memory."""
    blocking = Blocking()

    def model(x, stop):
        return {"y": np.ones(LARGE, np.float32)} if x[0] == 0 else blocking(x, stop)

    with worker(tmp_path, model, parallel=1) as near:
        near.load()
        near.send(1, [floats(0)])
        ran, _ = near.receive()
        near.send(2, [floats(2)])
        assert blocking.begun[2].wait(PATIENCE_S)
        room = pool.take_room(ran.room_bytes[0])
        near.give(1, place(room), pieces=[room])

        assert near.answers()[0] == 1
        blocking.may_end[2].set()
        assert near.answers()[0] == 2


def test_a_room_that_is_no_room_ends_the_worker(growing, pool):
    segment = pool.take(1 << 20)
    item, parts = item_of(floats(LARGE), room=place(segment))
    growing.send_items(1, [item], parts, [segment])

    assert isinstance(growing.mistake(), WireError)


def test_rooms_for_other_items_than_there_were_end_the_worker(growing):
    growing.send(1, [floats(LARGE)])
    growing.receive()
    growing.give(1, None, None)

    assert isinstance(growing.mistake(), WireError)


def test_a_message_that_names_memory_it_does_not_bring_ends_the_worker(echo, pool):
    echo.send_items(1, [in_segment(pool.take(1000), floats(1))])

    assert isinstance(echo.mistake(), WireError)


def test_a_payload_that_is_too_short_ends_the_worker(echo):
    item, _ = item_of(floats(1))
    echo.send_items(1, [item], [memoryview(b"123")])

    assert isinstance(echo.mistake(), WireError)


def test_an_answer_of_many_parts_goes_as_one_message(tmp_path):
    """sendmsg(2) takes at most 1024 parts."""
    outputs = [spec_of(f"y{i}", "FP32", (1,)) for i in range(MAX_TENSORS)]
    answer = {spec.name: np.full(1, i, np.float32) for i, spec in enumerate(outputs)}
    spec = worker_spec(MODEL, [X], outputs)
    with NearEnd(spec, FakeBackend({MODEL: lambda x: answer}), tmp_path, MODEL) as near:
        near.load()
        found = near.ask(*[[floats(1)] for _ in range(MAX_BATCH)])

    assert outputs_of(found) == outputs_of([answer] * MAX_BATCH)


def test_answers_whose_heads_do_not_fit_into_a_message_fail_with_the_reason(tmp_path):
    outputs = [spec_of(f"y{i}".ljust(128, "."), "FP32", (1,)) for i in range(MAX_TENSORS)]
    answer = {spec.name: np.zeros(1, np.float32) for spec in outputs}
    spec = worker_spec(MODEL, [X], outputs)
    with NearEnd(spec, FakeBackend({MODEL: lambda x: answer}), tmp_path, MODEL) as near:
        near.load()
        many = near.ask(*[[floats(1)] for _ in range(MAX_BATCH)])
        few = near.ask([floats(1)], run=2)

    assert len(few[0]) == MAX_TENSORS
    assert [answer.code for answer in many] == ["backend-failed"] * MAX_BATCH
    assert "the answer cannot be sent" in many[0].message


def test_words_of_any_length_fit_into_a_message(tmp_path):
    def model(x):
        raise ValueError("\N{GRINNING FACE}" * 100_000)

    with worker(tmp_path, model) as near:
        near.load()
        answers = near.ask(*[[floats(1)] for _ in range(MAX_BATCH)])

    assert [len(answer.message) for answer in answers] == [MAX_TEXT] * MAX_BATCH


class Alone:
    """A runs channel whose messages are taken and worked on by the test's own thread."""

    def __init__(self, tmp_path, function, *, turns=None):
        self.near, far = make_pair()
        with opened(tmp_path, MODEL) as files:
            model = load_model(
                worker_spec(MODEL, [X], [Y]), files, FakeBackend({MODEL: function}), clock=time.monotonic
            )
        self.far = far
        self.runs = Runs(far, model, turns or Turns(1, ANY_CORES), Segments(), max_kept=1)
        self.buffer = memoryview(mmap.mmap(-1, MAX_DATAGRAM_BYTES))

    def send(self, run, *values):
        item, parts = item_of(floats(*values))
        self.near.sendmsg(encode(Run(run=run, items=(item,)), parts))

    def take(self):
        return self.runs.receive(self.buffer)

    def ran(self):
        return decode(FROM_RUNS, self.near.recv(MAX_DATAGRAM_BYTES))[0]

    def answer(self):
        return self.ran().answers[0]


@pytest.fixture
def executed():
    return []


@pytest.fixture
def alone(tmp_path, executed):
    def model(x):
        executed.append(x.tolist())
        return {"y": x}

    channel = Alone(tmp_path, model)
    with channel.near, channel.far:
        yield channel


def test_a_stop_that_overtakes_its_run_counts(alone, executed):
    """They come on different channels, so the stop may well be read first."""
    alone.runs.stop(7)
    alone.runs.stop(7)
    alone.send(7, 1)
    alone.take()()

    assert alone.answer().code == "deadline-exceeded"
    assert executed == []


def test_a_stop_between_a_message_and_its_work_counts(alone, executed):
    alone.send(7, 1)
    work = alone.take()
    alone.runs.stop(7)
    work()

    assert alone.answer().code == "deadline-exceeded"
    assert executed == []


def test_a_stop_for_a_run_that_has_ended_is_for_nobody_else(alone, executed):
    for run in (1, 2):
        alone.send(run, run)
        alone.take()()
        alone.runs.stop(run)
        assert alone.answer().tensors

    assert executed == [[1], [2]]
    assert alone.runs._tickets == {}


def test_only_so_many_early_stops_are_remembered(alone):
    for run in range(3 * MAX_EARLY_STOPS):
        alone.runs.stop(run)

    assert len(alone.runs._early_stops) == MAX_EARLY_STOPS


def test_nobody_waits_for_a_message_that_is_not_there(alone):
    alone.take()()

    alone.send(1, 1)
    alone.take()()
    assert alone.answer().tensors


def test_the_end_of_the_channel_is_no_work(alone):
    alone.near.close()

    assert alone.take() is None


def test_a_channel_that_was_closed_with_answers_unread_has_ended_too(alone):
    alone.send(1, 1)
    alone.take()()
    alone.near.close()

    assert alone.take() is None


def test_an_answer_nobody_takes_is_no_mistake(alone):
    alone.send(1, 1)
    work = alone.take()
    alone.near.close()

    work()


def test_the_time_in_line_is_no_time_of_the_run(tmp_path):
    class LongLine(Turns):
        def enter(self, ticket):
            super().enter(ticket)
            ticket.waited_s = 1000.0

    channel = Alone(tmp_path, lambda x: {"y": x}, turns=LongLine(1, ANY_CORES))
    with channel.near, channel.far:
        channel.send(1, 1)
        channel.take()()

        assert channel.ran().run_s == 0
