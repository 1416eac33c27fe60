"""A worker that says what no worker says is ended, and costs its own runs only."""

import os

import msgspec
import pytest

from edged.errors import (
    WorkerLostError,
)
from edged.pipeline.datatypes import MAX_BYTES_ELEMENTS
from edged.runtime.wire import (
    Answered,
    Failed,
    Ran,
    Stop,
    TensorHead,
    encode,
)
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import MB, SPEC, close_all, floats, lying_answer, request, turn_loop
from tests.fakes.workers import spec_of, worker_spec


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
    "that would do with another number of rooms": lambda run: (Ran(run=run, room_bytes=(1,), least_bytes=(1, 1)), []),
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


async def test_a_worker_that_asks_for_more_room_than_its_outputs_can_take_is_ended(far, memory, endings):
    worker = far.handle(worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "FP32", (1000,))]), memory)
    run = worker.run([request()], endings.of("it"))
    far.say(Ran(run=run, room_bytes=(4097,)))
    await far.death()
    await far.report()

    assert "its outputs have 4032" in str((await endings.wait())["it"][0])


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


STRINGS = {
    "that end behind their tensor": ((1,), b"\xff\xff\xff\xffab"),
    "of another number": ((1,), bytes(8)),
    "of more than a tensor may have": ((MAX_BYTES_ELEMENTS + 1,), bytes(4)),
}


@pytest.mark.parametrize(("shape", "data"), STRINGS.values(), ids=list(STRINGS))
async def test_bytes_that_are_no_strings_end_the_worker(far, memory, endings, shape, data):
    worker = far.handle(worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "BYTES", (-1,))]), memory)
    run = worker.run([request()], endings.of("it"))
    head = TensorHead(name="y", dtype="BYTES", shape=shape, size=len(data))
    far.say(Ran(run=run, answers=(Answered(tensors=(head,)),)), [data])
    await far.death()
