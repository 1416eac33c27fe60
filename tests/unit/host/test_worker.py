"""A worker handle over real channels against a far end that answers well, badly, late or not at all."""

import asyncio
import mmap
import os
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest

from edged.errors import (
    BackendError,
    DeadlineError,
    ModelLoadError,
    TensorError,
    UnavailableError,
    UnsafeModelError,
    WorkerLostError,
)
from edged.runtime.calls import Request, SequenceStep
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import (
    INLINE_BYTES,
    MAX_BATCH,
    Answered,
    Failed,
    Give,
    LoadFailed,
    Ran,
    Step,
    Stop,
    TensorHead,
    Unmap,
    encode,
)
from edged.worker.arrays import to_tensor
from tests.fakes.far_ends import PATIENCE_S, FarEnd, answer
from tests.fakes.workers import spec_of, worker_spec

MB = 1 << 20
SPEC = worker_spec(b"model", [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))])


@pytest.fixture
def memory():
    memory = SharedMemory(max_bytes=lambda: 64 * MB)
    yield memory
    assert memory.taken_bytes == 0, "every run has given back what it took"


@pytest.fixture
async def far(memory):
    far = FarEnd()
    yield far
    await far.close()


@pytest.fixture
async def worker(far, memory):
    return far.handle(SPEC, memory)


class Endings:
    """Keeps what runs ended with, by the names the test gave them."""

    def __init__(self):
        self.outcomes = {}
        self._changed = asyncio.Event()

    def of(self, name):
        def ended(outcomes):
            assert name not in self.outcomes, "a run ends once"
            self.outcomes[name] = outcomes
            self._changed.set()

        return ended

    async def wait(self, count=1):
        async with asyncio.timeout(PATIENCE_S):
            while len(self.outcomes) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.outcomes


@pytest.fixture
def endings():
    return Endings()


def floats(count, value=1.0):
    return np.full(count, value, dtype="<f4").tobytes()


def request(count=2, value=1.0, **options):
    tensor = Tensor(name="x", dtype="FP32", shape=(count,), data=floats(count, value))
    return Request(inputs=[tensor], deadline_s=0.0, **options)


@contextmanager
def mapped(descriptor, size):
    with mmap.mmap(descriptor, size) as view:
        yield view


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


async def turn_loop():
    """Let everything happen that is ready to."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- how requests and answers travel ---------------------------------------------------------------------------------


async def test_a_small_request_and_its_answer_travel_in_the_datagrams(worker, far, memory, endings):
    run = worker.run([request(value=3.0)], endings.of("it"), rank=7)
    message, payload, descriptors = far.receive()
    far.say(answer(run, floats(2, 4.0)), [floats(2, 4.0)])
    (outcome,) = (await endings.wait())["it"]

    assert (message.run, message.rank, message.segments, descriptors) == (run, 7, (), [])
    assert (message.items[0].tensors[0].size, payload) == (8, floats(2, 3.0))
    assert outcome == InferResult(
        outputs=[Tensor(name="y", dtype="FP32", shape=(2,), data=floats(2, 4.0))], run_s=0.5, batch=1
    )
    assert memory.used_bytes == 0


async def test_each_request_of_a_batch_gets_its_own_answer_or_error(worker, far, endings):
    requests = [request(value=i) for i in range(3)]
    run = worker.run(requests, endings.of("it"))
    message, payload, _ = far.receive()
    good = [Answered(tensors=(TensorHead(name="y", dtype="FP32", shape=(1,), size=4),)) for _ in range(2)]
    failed = Failed(code="tensor-invalid", message="not this", hint="send another")
    far.say(Ran(run=run, answers=(good[0], failed, good[1]), run_s=0.1), [floats(1, 10), floats(1, 12)])
    first, second, third = (await endings.wait())["it"]

    assert len(message.items) == 3
    assert payload == b"".join(floats(2, i) for i in range(3))
    assert (first.outputs[0].data, third.outputs[0].data) == (floats(1, 10), floats(1, 12))
    assert first.batch == 3
    assert isinstance(second, TensorError)
    assert (second.message, second.hint) == ("not this", "send another")


async def test_the_sequence_of_a_request_is_told_to_the_worker(worker, far, endings):
    worker.run([request(uid=7, sequence=SequenceStep(id="a", is_start=True))], endings.of("it"))

    assert far.receive()[0].items[0].sequence == Step(uid=7, id="a", is_start=True, is_end=False)


async def test_a_large_input_is_copied_into_memory_that_the_next_one_uses_again(worker, far, memory, endings):
    """Its descriptor travels once."""
    used = []
    for value in (1.0, 2.0):
        run = worker.run([request(MB, value)], endings.of(value))
        message, payload, descriptors = far.receive()
        head = message.items[0].tensors[0]
        used.append((head.segment, len(descriptors), len(message.segments)))
        if descriptors:
            near, size = descriptors[0], message.segments[0][1]
        assert payload == b""
        assert memory.taken_bytes > 0
        with mmap.mmap(near, size, access=mmap.ACCESS_READ) as view:
            assert view[head.offset : head.offset + head.size] == floats(MB, value)
        far.say(answer(run, floats(1)), [floats(1)])
        await endings.wait(len(used))
        assert memory.taken_bytes == 0
    os.close(near)

    assert used == [(used[0][0], 1, 1), (used[0][0], 0, 0)]


async def test_what_lies_in_the_requests_memory_stays_there(worker, far, memory, endings):
    segment = memory.take(MB)
    segment.view[100:108] = floats(2, 9.0)
    tensor = Tensor(name="x", dtype="FP32", shape=(2,), data=segment.view[100:108], at=100)
    run = worker.run([Request(inputs=[tensor], deadline_s=0.0, memory=segment)], endings.of("it"))
    message, payload, descriptors = far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    await endings.wait()

    head = message.items[0].tensors[0]
    assert (head.segment, head.offset, head.size, payload) == (segment.number, 100, 8, b"")
    assert message.segments == ((segment.number, segment.size),)
    assert os.fstat(descriptors[0]).st_ino == os.fstat(segment.descriptor).st_ino
    assert memory.taken_bytes == segment.size, "it belongs to whoever took it"
    segment.release()
    close_all(descriptors)


async def test_the_inputs_of_one_request_are_sent_as_long_as_they_are_small_together(worker, far, endings):
    count = INLINE_BYTES // 4 // 2
    tensors = [Tensor(name="x", dtype="FP32", shape=(size,), data=floats(size, size)) for size in (count, count + 1, 1)]
    worker.run([Request(inputs=tensors, deadline_s=0.0)], endings.of("it"))
    message, payload, descriptors = far.receive()

    first, second, third = message.items[0].tensors
    assert (first.segment, third.segment) == (0, 0)
    assert payload == floats(count, count) + floats(1, 1)
    with mmap.mmap(descriptors[0], message.segments[0][1], access=mmap.ACCESS_READ) as view:
        assert view[second.offset : second.offset + second.size] == floats(count + 1, count + 1)
    close_all(descriptors)


async def test_a_batch_never_outgrows_a_datagram(worker, far, memory, endings):
    """Each request alone would travel in it; together they are ten times as much."""
    count = INLINE_BYTES // 4
    worker.run([request(count, value=i) for i in range(MAX_BATCH)], endings.of("it"))
    message, payload, descriptors = far.receive()

    lying = [item.tensors[0] for item in message.items if item.tensors[0].segment]
    assert 0 < len(lying) < MAX_BATCH
    assert len(payload) == (MAX_BATCH - len(lying)) * INLINE_BYTES
    assert len(descriptors) == 1
    with mmap.mmap(descriptors[0], message.segments[0][1], access=mmap.ACCESS_READ) as view:
        for head, value in zip(lying, range(MAX_BATCH - len(lying), MAX_BATCH), strict=True):
            assert view[head.offset : head.offset + head.size] == floats(count, value)
            assert head.offset % 64 == 0
    close_all(descriptors)


async def test_a_large_answer_of_known_size_has_a_room_from_the_start(far, memory, endings):
    spec = worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "FP32", (MB,)), spec_of("z", "FP32", (1,))])
    worker = far.handle(spec, memory)
    run = worker.run([request()], endings.of("it"))
    message, _, descriptors = far.receive()
    room = message.items[0].room
    data = [floats(MB, 5.0), floats(1, 6.0)]
    with mapped(descriptors[0], message.segments[0][1]) as view:
        view[room.offset : room.offset + 4 * MB] = data[0]
        view[room.offset + 4 * MB : room.offset + 4 * MB + 4] = data[1]
    heads = [
        TensorHead(name="y", dtype="FP32", shape=(MB,), size=4 * MB, segment=room.segment, offset=room.offset),
        TensorHead(name="z", dtype="FP32", shape=(1,), size=4, segment=room.segment, offset=room.offset + 4 * MB),
    ]
    far.say(Ran(run=run, answers=(Answered(tensors=tuple(heads)),)))
    (outcome,) = (await endings.wait())["it"]

    assert [tensor.data for tensor in outcome.outputs] == data
    assert memory.taken_bytes == 0
    close_all(descriptors)


async def test_only_the_outputs_asked_for_get_room(far, memory, endings):
    spec = worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "FP32", (MB,)), spec_of("z", "FP32", (1,))])
    far.handle(spec, memory).run([request(outputs=("z",))], endings.of("it"))

    message, _, _ = far.receive()
    assert message.items[0].room is None
    assert message.items[0].outputs == ("z",)


def lying_answer(run, place, size, **changes):
    head = TensorHead(
        **{"name": "y", "dtype": "FP32", "shape": (size // 4,), "size": size}
        | {"segment": place.segment, "offset": place.offset}
        | changes
    )
    return Ran(run=run, answers=(Answered(tensors=(head,)),))


async def test_a_large_answer_of_unknown_size_asks_for_room_and_the_next_one_finds_it(worker, far, memory, endings):
    run = worker.run([request()], endings.of("first"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(4 * MB,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    (place,) = give.rooms
    os.pwrite(descriptors[0], floats(MB, 5.0), place.offset)
    far.say(lying_answer(run, place, 4 * MB))
    (first,) = (await endings.wait())["first"]

    run = worker.run([request()], endings.of("second"))
    message, _, more = far.receive()
    os.pwrite(descriptors[0], floats(MB, 6.0), message.items[0].room.offset)
    far.say(lying_answer(run, message.items[0].room, 4 * MB))
    (second,) = (await endings.wait(2))["second"]

    assert isinstance(give, Give)
    assert give.segments == ((place.segment, memory.used_bytes),)
    assert (first.outputs[0].data, second.outputs[0].data) == (floats(MB, 5.0), floats(MB, 6.0))
    assert (message.items[0].room.segment, message.segments, more) == (place.segment, (), [])
    close_all(descriptors)


async def test_an_answer_that_was_small_again_leaves_the_next_one_without_a_room(worker, far, endings):
    worker._runs._usual_bytes = MB
    run = worker.run([request()], endings.of("first"))
    assert far.receive()[0].items[0].room is not None
    far.say(answer(run, floats(1)), [floats(1)])
    await endings.wait()

    worker.run([request()], endings.of("second"))
    assert far.receive()[0].items[0].room is None


async def test_an_answer_keeps_its_room_when_another_of_the_batch_asks_for_one(worker, far, endings):
    """The worker names a place for each that needs one, and we say all of them again."""
    worker._runs._usual_bytes = MB
    run = worker.run([request(), request()], endings.of("it"))
    message, _, descriptors = far.receive()
    far.say(Ran(run=run, room_bytes=(0, 4 * MB)))
    await turn_loop()
    give, _, more = far.receive()
    first, second = give.rooms
    assert first == message.items[0].room
    assert second.segment != first.segment
    answers = (lying_answer(run, first, MB).answers[0], lying_answer(run, second, 4 * MB).answers[0])
    far.say(Ran(run=run, answers=answers))
    outcomes = (await endings.wait())["it"]

    assert [len(outcome.outputs[0].data) for outcome in outcomes] == [MB, 4 * MB]
    close_all([*descriptors, *more])


async def test_an_output_is_a_copy_that_a_worker_can_no_longer_change(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    far.say(lying_answer(run, give.rooms[0], MB))
    (outcome,) = (await endings.wait())["it"]
    os.pwrite(descriptors[0], b"\xff" * MB, 0)

    assert outcome.outputs[0].data == bytes(MB)
    close_all(descriptors)


async def test_an_answer_for_which_there_is_no_memory_is_an_error_of_its_own(worker, far, memory, endings):
    """The run ends all the same: the worker hears that nobody will fetch the answer."""
    run = worker.run([request(), request()], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(0, 1 << 30)))
    await turn_loop()
    give, _, _ = far.receive()
    small = Answered(tensors=(TensorHead(name="y", dtype="FP32", shape=(1,), size=4),))
    far.say(Ran(run=run, answers=(small, Failed(code="backend-failed", message="no room"))), [floats(1)])
    first, second = (await endings.wait())["it"]

    assert give.rooms == (None, None)
    assert isinstance(first, InferResult)
    assert isinstance(second, UnavailableError)
    assert worker.is_usable


async def test_inputs_for_which_there_is_no_memory_are_refused_and_nothing_is_sent(worker, far, memory, endings):
    taken = memory.take(60 * MB)
    worker.run([request(4 * MB)], endings.of("it"))
    assert endings.outcomes == {}, "an end never comes from within the call"
    (outcome,) = (await endings.wait())["it"]

    assert isinstance(outcome, UnavailableError)
    far.runs.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.receive()
    taken.release()


async def test_memory_that_is_dropped_is_forgotten_by_the_worker_that_knew_it(worker, far, memory, endings):
    memory.take(MB).release()  # never seen by the worker
    run = worker.run([request(4 * MB)], endings.of("it"))
    message, _, descriptors = far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    await endings.wait()
    memory.trim()

    assert far.told() == Unmap(segment=message.segments[0][0])
    far.control.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.told()
    close_all(descriptors)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (request(outputs=("z",)), "no output z"),
        (request(outputs=("y", "y")), "twice"),
        (Request(inputs=[request().inputs[0]] * 65, deadline_s=0), "65 inputs"),
        (Request(inputs=[Tensor(name="x", dtype="FP32", shape=(2**70, 0), data=b"")], deadline_s=0), "cannot be sent"),
        (
            Request(
                inputs=[Tensor(name="漢" * 5000, dtype="FP32", shape=(0,), data=b"") for _ in range(60)], deadline_s=0
            ),
            "cannot be sent",
        ),
    ],
)
async def test_a_request_that_no_worker_understands_is_refused_and_costs_none(worker, far, endings, wrong, match):
    worker.run([wrong], endings.of("wrong"))
    run = worker.run([request()], endings.of("right"))
    assert far.receive()[0].run == run
    far.say(answer(run, floats(1)), [floats(1)])
    outcomes = await endings.wait(2)

    assert isinstance(outcomes["wrong"][0], TensorError)
    assert match in str(outcomes["wrong"][0])
    assert isinstance(outcomes["right"][0], InferResult)


@pytest.mark.parametrize("count", [0, MAX_BATCH + 1])
async def test_a_run_has_one_to_as_many_requests_as_a_batch(worker, endings, count):
    with pytest.raises(ValueError, match="requests in a run"):
        worker.run([request()] * count, endings.of("it"))


async def test_several_runs_may_be_under_way_and_end_in_any_order(worker, far, endings):
    runs = [worker.run([request()], endings.of(i)) for i in range(3)]
    for i in (2, 0, 1):
        far.say(answer(runs[i], floats(1, i)), [floats(1, i)])
        (outcome,) = (await endings.wait(len(endings.outcomes) + 1))[i]
        assert outcome.outputs[0].data == floats(1, i)


# --- a worker that says what no worker says --------------------------------------------------------------------------


def ran_with(**changes):
    def make(run):
        return answer(run, floats(2), **changes), [floats(2)]

    return make


def head_with(**changes):
    def make(run):
        head = TensorHead(**{"name": "y", "dtype": "FP32", "shape": (2,), "size": 8} | changes)
        return Ran(run=run, answers=(Answered(tensors=(head,)),)), [floats(2)]

    return make


NONSENSE = {
    "of another run": lambda run: (answer(run + 1, floats(2)), [floats(2)]),
    "without an answer": ran_with(answers=()),
    "with two answers to one request": lambda run: (
        msgspec.structs.replace(answer(run, floats(2)), answers=answer(run, floats(2)).answers * 2),
        [floats(2)] * 2,
    ),
    "without the tensor": ran_with(answers=(Answered(tensors=()),)),
    "with a tensor of another name": head_with(name="z"),
    "with a tensor of another datatype": head_with(dtype="INT32"),
    "with a tensor of another rank": head_with(shape=(1, 2)),
    "with a tensor of another size": head_with(shape=(3,)),
    "with an enormous tensor": head_with(shape=(1 << 30,), size=1 << 32),
    "with half of the bytes": lambda run: (answer(run, floats(2)), [floats(1)]),
    "with more bytes than tensors": lambda run: (answer(run, floats(2)), [floats(3)]),
    "in a segment that nobody gave": head_with(segment=1),
    "that asks for another number of rooms": lambda run: (Ran(run=run, room_bytes=(1, 1)), []),
    "that asks for room and answers": ran_with(room_bytes=(8,)),
}


@pytest.mark.parametrize("make", NONSENSE.values(), ids=list(NONSENSE))
async def test_an_answer_that_is_none_ends_the_worker_and_its_runs(worker, far, endings, make):
    run = worker.run([request()], endings.of("it"))
    other = worker.run([request(), request()], endings.of("other"))
    far.say(*make(run))
    far.say(answer(other, floats(1)), [floats(1)])
    await far.death()

    assert not worker.is_usable
    assert endings.outcomes == {}, "until the process is gone, it may still write to the memory of its runs"
    await far.report()
    outcomes = await endings.wait(2)
    for outcome in (*outcomes["it"], *outcomes["other"]):
        assert isinstance(outcome, WorkerLostError)
        assert "what no worker says" in str(outcome)
        assert outcome.facts == {"signal": 9}
    assert [len(outcomes[name]) for name in ("it", "other")] == [1, 2]


@pytest.mark.parametrize(
    "data",
    [b"\x00", b"\x05\x00\x00\x00", b"x" * 1000, b"".join(encode(Stop(run=0))), bytes(196_609)],
    ids=["short", "no head", "noise", "another channel's word", "too large"],
)
@pytest.mark.parametrize("channel", ["runs", "control"])
async def test_a_datagram_that_is_no_message_ends_the_worker(worker, far, endings, channel, data):
    worker.run([request()], endings.of("it"))
    getattr(far, channel).send(data)
    await far.death()
    await far.report()

    (outcome,) = (await endings.wait())["it"]
    assert isinstance(outcome, WorkerLostError)


async def test_text_that_is_not_utf8_ends_the_worker(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    ran = Ran(run=run, answers=(Failed(code="AAAA", message=""),))
    far.runs.send(b"".join(encode(ran)).replace(b"AAAA", b"\xff\xfe\xc0\xaf"))
    await far.death()
    await far.report()

    (outcome,) = (await endings.wait())["it"]
    assert "codec" in str(outcome)


async def test_a_worker_that_answers_twice_is_ended_and_the_first_answer_counts(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    for value in (1.0, 2.0):
        far.say(answer(run, floats(1, value)), [floats(1, value)])
    await far.death()

    (outcome,) = endings.outcomes["it"]
    assert outcome.outputs[0].data == floats(1, 1.0)


async def test_a_worker_that_asks_for_rooms_again_and_again_is_ended(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    for _ in range(3):
        far.say(Ran(run=run, room_bytes=(MB,)))
    await far.death()


OUTSIDE = {
    "before its room": {"offset": 0},
    "across the end of its room": {"offset": MB + 64},
    "far behind its room": {"offset": 1 << 31},
    "in the inputs": {"segment": "inputs"},
    "in a segment of nobody": {"segment": 77},
}


@pytest.mark.parametrize("changes", OUTSIDE.values(), ids=list(OUTSIDE))
async def test_an_answer_outside_its_room_ends_the_worker(worker, far, endings, changes):
    """The first of two rooms begins at 0, so that "before" the second there is the first one."""
    run = worker.run([request(4 * MB), request()], endings.of("it"))
    message, _, descriptors = far.receive()
    far.say(Ran(run=run, room_bytes=(MB, MB)))
    await turn_loop()
    give, _, more = far.receive()
    if changes.get("segment") == "inputs":
        changes = {"segment": message.items[0].tensors[0].segment}
    first = lying_answer(run, give.rooms[0], MB).answers[0]
    far.say(Ran(run=run, answers=(first, lying_answer(run, give.rooms[1], MB, **changes).answers[0])))
    await far.death()
    await far.report()

    assert all(isinstance(outcome, WorkerLostError) for outcome in (await endings.wait())["it"])
    close_all([*descriptors, *more])


async def test_outputs_that_share_a_room_ten_times_over_end_the_worker(far, memory, endings):
    """Each is copied out; a small room must not become a lot of memory here."""
    outputs = [spec_of(f"y{i}", "FP32", (-1,)) for i in range(10)]
    worker = far.handle(worker_spec(b"model", SPEC.variant.inputs, outputs), memory)
    run = worker.run([request()], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    tensors = [lying_answer(run, give.rooms[0], MB, name=f"y{i}").answers[0].tensors[0] for i in range(10)]
    far.say(Ran(run=run, answers=(Answered(tensors=tuple(tensors)),)))
    await far.death()
    close_all(descriptors)


async def test_a_worker_that_cuts_its_room_short_ends_itself_and_nothing_else(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    os.ftruncate(descriptors[0], 100)
    far.say(lying_answer(run, give.rooms[0], MB))
    await far.death()
    close_all(descriptors)


async def test_bytes_that_are_no_strings_end_the_worker(far, memory, endings):
    worker = far.handle(worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "BYTES", (1,))]), memory)
    run = worker.run([request()], endings.of("it"))
    head = TensorHead(name="y", dtype="BYTES", shape=(1,), size=6)
    far.say(Ran(run=run, answers=(Answered(tensors=(head,)),)), [b"\xff\xff\xff\xffab"])
    await far.death()


# --- stopping, and the many ways to end ------------------------------------------------------------------------------


async def test_a_run_that_is_stopped_may_still_answer_and_costs_nothing(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    far.receive()
    worker.stop(run)
    worker.stop(run)
    assert far.told() == Stop(run=run)
    far.say(Ran(run=run, answers=(Failed(code="deadline-exceeded", message="stopped"),)))
    (outcome,) = (await endings.wait())["it"]
    worker.stop(run)

    assert isinstance(outcome, DeadlineError)
    assert worker.is_usable
    far.control.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.told()  # told once, and not about what has ended


async def test_a_worker_that_goes_on_after_a_stop_is_ended(far, memory, endings):
    worker = far.handle(SPEC, memory, stop_within_s=0.0)
    run = worker.run([request()], endings.of("it"))
    worker.stop(run)
    await far.death()
    await far.report()

    (outcome,) = (await endings.wait())["it"]
    assert isinstance(outcome, WorkerLostError)
    assert "told to stop" in str(outcome)
    assert outcome.facts == {"signal": 9}


async def test_a_run_that_ends_in_time_ends_the_wait_for_it(far, memory, endings):
    """The worker must not be killed by the stop of a run that is long over."""
    worker = far.handle(SPEC, memory, stop_within_s=3600.0)
    run = worker.run([request()], endings.of("it"))
    worker.stop(run)
    timer = worker._runs._runs[run].too_late
    far.say(answer(run, floats(1)), [floats(1)])
    await endings.wait()

    assert timer.cancelled()


@pytest.mark.parametrize(("status", "facts"), [(-11, {"signal": 11}), (0, {"exit_status": 0}), (3, {"exit_status": 3})])
async def test_the_end_of_a_worker_ends_its_runs_and_says_how(worker, far, endings, status, facts):
    worker.run([request()], endings.of("one"))
    worker.run([request(), request()], endings.of("two"))
    await far.report(status)
    outcomes = await endings.wait(2)

    assert worker.lost.is_set()
    assert not worker.is_usable
    assert not worker.ended_with_template
    for outcome in (*outcomes["one"], *outcomes["two"]):
        assert isinstance(outcome, WorkerLostError)
        assert outcome.facts == facts
    assert len({id(outcome) for outcome in (*outcomes["one"], *outcomes["two"])}) == 3, "each raises its own"


async def test_answers_given_before_the_end_are_delivered_first(worker, far, endings):
    """Also when the worker left runs unread, of which the kernel speaks first."""
    answered, unread = (worker.run([request()], endings.of(name)) for name in ("answered", "unread"))
    far.receive()
    far.say(answer(answered, floats(1)), [floats(1)])
    worker.kill()
    await far.report()
    outcomes = await endings.wait(2)

    assert unread != answered
    assert isinstance(outcomes["answered"][0], InferResult)
    assert isinstance(outcomes["unread"][0], WorkerLostError)


async def test_nothing_is_believed_once_a_worker_broke_the_protocol(worker, far, endings):
    first, second = (worker.run([request()], endings.of(name)) for name in ("first", "second"))
    far.say(answer(99, floats(1)), [floats(1)])
    for run in (first, second):
        far.say(answer(run, floats(1)), [floats(1)])
    await far.death()
    await far.report()

    assert all(isinstance(outcome[0], WorkerLostError) for outcome in (await endings.wait(2)).values())


async def test_memory_of_a_run_is_kept_until_the_process_is_gone(worker, far, memory, endings):
    """Killed is not gone: until the kernel says so, a thread of it may be writing."""
    run = worker.run([request(MB)], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB,)))
    await turn_loop()
    held = memory.taken_bytes
    worker.kill()
    worker.stop(run)
    await far.death()
    await turn_loop()

    assert held >= 5 * MB
    assert memory.taken_bytes == held
    assert endings.outcomes == {}
    await far.report()
    assert memory.taken_bytes == 0
    assert isinstance(endings.outcomes["it"][0], WorkerLostError)


async def test_runs_end_before_anybody_sees_that_the_worker_is_lost(worker, far, memory, endings):
    """Whoever replaces it must not meet the memory of its runs still taken."""
    seen = []

    async def watch():
        await worker.lost.wait()
        seen.append((memory.taken_bytes, len(endings.outcomes)))

    watching = asyncio.ensure_future(watch())
    worker.run([request(MB)], endings.of("it"))
    await turn_loop()
    await far.report()
    await watching

    assert seen == [(0, 1)]


async def test_one_owner_that_raises_keeps_no_other_from_its_end(worker, far, endings):
    def raising(outcomes):
        raise RuntimeError("of this run only")

    worker.run([request()], endings.of("before"))
    worker.run([request()], raising)
    worker.run([request()], endings.of("after"))
    with pytest.raises(RuntimeError, match="of this run only"):
        await far.report()

    assert set(endings.outcomes) == {"before", "after"}
    assert worker.lost.is_set()


async def test_a_run_on_a_worker_that_is_going_is_lost_soon_and_never_from_within_the_call(worker, far, endings):
    worker.kill()
    run = worker.run([request(MB), request()], endings.of("killed"))
    worker.stop(run)
    assert endings.outcomes == {}
    assert len((await endings.wait())["killed"]) == 2
    await far.report(-9)
    worker.run([request()], endings.of("gone"))
    assert "gone" not in endings.outcomes

    (outcome,) = (await endings.wait(2))["gone"]
    assert isinstance(outcome, WorkerLostError)
    assert "signal 9" in str(outcome)


async def test_an_answer_that_brings_a_new_run_gets_it_sent(worker, far, endings):
    """The next request is sent from within the end of the one before."""

    def go_on(outcomes):
        worker.run([request()], endings.of("second"))

    run = worker.run([request()], go_on)
    far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    await turn_loop()
    message, _, _ = far.receive()
    far.say(answer(message.run, floats(1)), [floats(1)])

    assert isinstance((await endings.wait())["second"][0], InferResult)


async def test_a_worker_whose_template_ended_is_no_fault_of_its_model(worker, far, endings):
    worker.run([request()], endings.of("it"))
    await far.report(None)
    (outcome,) = (await endings.wait())["it"]

    assert worker.ended_with_template
    assert type(outcome) is BackendError


async def test_a_worker_that_closes_its_channels_is_used_no_more_and_ended_if_it_lingers(
    worker, far, endings, monkeypatch
):
    monkeypatch.setattr("edged.host.worker.LINGER_S", 0.0)
    worker.run([request()], endings.of("it"))
    far.close_channels()
    await far.death()

    assert not worker.is_usable
    assert endings.outcomes == {}


async def test_a_worker_that_reads_nothing_is_ended(worker, far, endings):
    """What it does not read would pile up here."""
    run = 0
    while worker.is_usable:
        worker.run([request(INLINE_BYTES // 4)], endings.of(run))
        run += 1
        await asyncio.sleep(0)
        assert run < 2000
    await far.death()
    await far.report()

    assert len(await endings.wait(run)) == run


# --- loading, closing, and the convenience ---------------------------------------------------------------------------


async def test_a_loaded_model_is_described(worker, far):
    far.say_loaded(load_s=1.5, runtime="onnxruntime 9.9", unconfined=("no Landlock: old kernel",))
    await worker.load()

    assert far.told().spec == SPEC
    assert (worker.load_s, worker.runtime, worker.unconfined) == (1.5, "onnxruntime 9.9", ("no Landlock: old kernel",))


async def test_a_model_that_cannot_be_loaded_is_an_error_with_its_reason(worker, far):
    far.control.send(b"".join(encode(LoadFailed(code="model-unsafe", message="external data", hint="none"))))

    with pytest.raises(UnsafeModelError, match="external data"):
        await worker.load()


async def test_the_end_of_a_worker_that_loads_is_a_load_error(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    await far.report(-9)

    with pytest.raises(ModelLoadError, match="signal 9") as caught:
        await loading
    assert str(SPEC.memory_limit_bytes) in caught.value.hint


async def test_the_last_word_of_a_worker_that_could_not_load_counts_more_than_its_end(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    far.control.send(b"".join(encode(LoadFailed(code="model-unsafe", message="external data"))))
    await far.report(0)

    with pytest.raises(UnsafeModelError):
        await loading


async def test_the_end_of_the_template_while_loading_is_no_fault_of_the_model(worker, far):
    loading = asyncio.ensure_future(worker.load())
    await turn_loop()
    await far.report(None)

    with pytest.raises(BackendError) as caught:
        await loading
    assert type(caught.value) is BackendError


async def test_a_second_word_about_the_model_ends_the_worker(worker, far):
    far.say_loaded()
    far.say_loaded()
    await far.death()


async def test_closing_kills_and_waits_until_the_process_is_gone(worker, far):
    closing = asyncio.ensure_future(worker.close())
    await far.death()
    await turn_loop()
    assert not closing.done()
    await far.report()
    await closing

    assert worker.lost.is_set()


async def test_a_worker_that_is_gone_hears_no_more_of_its_memory_and_is_forgotten(far, memory):
    """The memory outlives many workers."""
    worker = far.handle(SPEC, memory)
    await far.report()
    memory.take(MB).release()
    memory.trim()

    assert not worker.is_usable
    assert memory._droppers == set()


async def answering(far, worker, value):
    """Answer the next run as soon as it is there, without a thread."""
    while not worker._runs._runs:  # noqa: ASYNC110 - set by a call, which sets no event
        await asyncio.sleep(0)
    message, _, _ = far.receive()
    far.say(answer(message.run, floats(1, value)), [floats(1, value)])


async def test_infer_waits_for_the_answer(worker, far):
    answered = asyncio.ensure_future(answering(far, worker, 8.0))
    result = await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S)
    await answered

    assert result.outputs[0].data == floats(1, 8.0)


async def test_infer_refuses_what_the_model_does_not_take(worker):
    with pytest.raises(TensorError, match="inputs are z"):
        await worker.infer([to_tensor("z", np.ones(2, np.float32))], timeout_s=PATIENCE_S)


async def test_infer_stops_the_run_at_its_deadline(worker, far):
    with pytest.raises(DeadlineError):
        await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=0.01)

    assert far.told() == Stop(run=far.receive()[0].run)
    assert worker.is_usable


async def test_infer_without_time_sends_nothing(worker, far):
    with pytest.raises(DeadlineError):
        await worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=0)

    far.runs.settimeout(0)
    with pytest.raises(BlockingIOError):
        far.receive()


async def test_infer_that_nobody_waits_for_is_stopped(worker, far):
    asking = asyncio.ensure_future(worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S))
    await turn_loop()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    run = far.receive()[0].run
    assert far.told() == Stop(run=run)
    far.say(answer(run, floats(1)), [floats(1)])
    await turn_loop()
    assert worker.is_usable


async def test_infer_raises_what_the_worker_reports(worker, far):
    asking = asyncio.ensure_future(worker.infer([to_tensor("x", np.ones(2, np.float32))], timeout_s=PATIENCE_S))
    await turn_loop()
    far.say(Ran(run=far.receive()[0].run, answers=(Failed(code="backend-failed", message="no"),)))

    with pytest.raises(BackendError, match="no"):
        await asking
