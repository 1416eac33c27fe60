"""How requests and answers travel between a worker handle and its far end: in datagrams, in memory, together and alone."""

import mmap
import os

import pytest

from edged.errors import (
    TensorError,
    UnavailableError,
)
from edged.runtime.calls import Request, SequenceStep
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import (
    INLINE_BYTES,
    MAX_BATCH,
    Answered,
    Failed,
    Give,
    Ran,
    Step,
    TensorHead,
    Unmap,
)
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import MB, SPEC, close_all, floats, lying_answer, mapped, request, turn_loop
from tests.fakes.workers import spec_of, worker_spec


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
