"""What the steps before a model make of a request, between a worker handle and its far end: brought, given, and not believed."""

import mmap
from dataclasses import replace

import pytest

from edged.errors import WorkerLostError
from edged.runtime.calls import Features
from edged.runtime.tensors import Tensor
from edged.runtime.wire import MAX_SEGMENT_BYTES, Answered, Failed, Ran, TensorHead
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import MB, SPEC, close_all, floats, request, turn_loop
from tests.fakes.workers import spec_of, worker_spec

OPEN = spec_of("f", "FP32", (-1,))
WANTED = Features(digest="d", takes=(OPEN,), gives=(), scale=1.0, most_bytes=1 << 30)
WANTS = request(features=WANTED)


def tensor(count=2, value=1.0):
    return Tensor(name="f", dtype="FP32", shape=(count,), data=floats(count, value))


def head(count=2, **changes):
    return TensorHead(**{"name": "f", "dtype": "FP32", "shape": (count,), "size": 4 * count} | changes)


def with_features(run, *heads):
    """An answer with one small output, and what it says the features are."""
    (plain,) = answer(run, floats(1, 5.0)).answers
    return Ran(run=run, answers=(Answered(tensors=plain.tensors, features=heads),), run_s=0.5)


async def test_features_are_asked_for_and_come_apart_from_the_outputs(worker, far, endings):
    run = worker.run([WANTS], endings.of("it"))
    message, payload, _ = far.receive()
    far.say(with_features(run, head()), [floats(1, 5.0), floats(2, 6.0)])
    (outcome,) = (await endings.wait())["it"]

    assert (message.items[0].features, payload) == ("wanted", floats(2))
    assert [(found.name, found.data) for found in outcome.outputs] == [("y", floats(1, 5.0))]
    assert [(found.name, found.data) for found in outcome.features] == [("f", floats(2, 6.0))]


async def test_nothing_is_said_of_features_where_nobody_wants_them(worker, far, endings):
    run = worker.run([request()], endings.of("it"))
    message, _, _ = far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    (outcome,) = (await endings.wait())["it"]

    assert message.items[0].features == ""
    assert (outcome.features, outcome.had_features) == (None, False)


@pytest.mark.parametrize("count", [2, MB], ids=["small", "large"])
async def test_features_that_are_known_are_sent_in_place_of_the_inputs(worker, far, memory, endings, count):
    """A large one lies in a segment of the run's own, not in the memory of the request."""
    segment = memory.take(64)
    segment.view[:8] = floats(2, 9.0)
    sent = Tensor(name="x", dtype="FP32", shape=(2,), data=segment.view[:8], at=0)
    known = replace(WANTED, tensors=(tensor(count, 7.0),))
    run = worker.run([replace(request(), inputs=[sent], memory=segment, features=known)], endings.of("it"))
    message, payload, descriptors = far.receive()
    (item,) = message.items
    (found,) = item.tensors
    if found.segment:
        with mmap.mmap(descriptors[0], message.segments[0][1], access=mmap.ACCESS_READ) as view:
            payload = view[found.offset : found.offset + found.size]
    far.say(answer(run, floats(1)), [floats(1)])
    (outcome,) = (await endings.wait())["it"]

    assert (item.features, found.name, payload) == ("given", "f", floats(count, 7.0))
    assert outcome.had_features
    assert segment.number not in {number for number, _ in message.segments}
    segment.release()
    close_all(descriptors)


async def test_where_there_is_no_memory_for_known_features_the_inputs_are_sent_after_all(worker, far, memory, endings):
    """The picture may be small, and what the steps make of it large."""
    taken = memory.take(60 * MB)
    known = replace(WANTED, tensors=(tensor(2 * MB),))
    run = worker.run([request(value=3.0, features=known)], endings.of("it"))
    message, payload, _ = far.receive()
    far.say(answer(run, floats(1)), [floats(1)])
    (outcome,) = (await endings.wait())["it"]

    assert (message.items[0].features, payload) == ("", floats(2, 3.0))
    assert not outcome.had_features
    taken.release()


async def test_there_is_room_from_the_start_for_large_features_of_known_size(worker, far, memory, endings):
    wants = request(outputs=("y",), features=replace(WANTED, takes=(spec_of("f", "FP32", (MB,)),)))
    spec = worker_spec(b"model", SPEC.variant.inputs, [spec_of("y", "FP32", (1,))])
    run = far.handle(spec, memory).run([wants], endings.of("it"))
    message, _, descriptors = far.receive()
    room = message.items[0].room
    with mmap.mmap(descriptors[0], message.segments[0][1]) as view:
        view[room.offset : room.offset + 4] = floats(1, 5.0)
        view[room.offset + 64 : room.offset + 64 + 4 * MB] = floats(MB, 6.0)
    place = {"segment": room.segment}
    output = TensorHead(name="y", dtype="FP32", shape=(1,), size=4, offset=room.offset, **place)
    features = head(MB, offset=room.offset + 64, **place)
    far.say(Ran(run=run, answers=(Answered(tensors=(output,), features=(features,)),)))
    (outcome,) = (await endings.wait())["it"]

    assert outcome.outputs[0].data == floats(1, 5.0)
    assert outcome.features[0].data == floats(MB, 6.0)
    close_all(descriptors)


async def test_room_that_only_features_needed_is_not_made_for_the_next_answer(worker, far, memory, endings):
    run = worker.run([WANTS], endings.of("first"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(4 * MB + 64,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    (place,) = give.rooms
    output = TensorHead(name="y", dtype="FP32", shape=(1,), size=4, segment=place.segment)
    features = head(MB, segment=place.segment, offset=64)
    far.say(Ran(run=run, answers=(Answered(tensors=(output,), features=(features,)),)))
    await endings.wait()
    worker.run([request()], endings.of("second"))

    assert far.receive()[0].items[0].room is None
    close_all(descriptors)


async def test_features_for_which_there_is_no_memory_cost_nobody_the_answer(worker, far, endings):
    run = worker.run([WANTS], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(1 << 30,)))
    await turn_loop()
    give, _, _ = far.receive()
    far.say(answer(run, floats(1, 5.0)), [floats(1, 5.0)])
    (outcome,) = (await endings.wait())["it"]

    assert give.rooms == (None,)
    assert outcome.outputs[0].data == floats(1, 5.0)
    assert outcome.features is None


async def test_where_there_is_no_memory_for_features_there_is_room_for_a_large_answer_alone(worker, far, endings):
    run = worker.run([WANTS], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(1 << 30,), least_bytes=(4 * MB,)))
    await turn_loop()
    give, _, descriptors = far.receive()
    (place,) = give.rooms
    with mmap.mmap(descriptors[0], give.segments[0][1]) as view:
        view[place.offset : place.offset + 4 * MB] = floats(MB, 5.0)
    output = TensorHead(name="y", dtype="FP32", shape=(MB,), size=4 * MB, segment=place.segment, offset=place.offset)
    far.say(Ran(run=run, answers=(Answered(tensors=(output,)),)))
    (outcome,) = (await endings.wait())["it"]

    assert outcome.outputs[0].data == floats(MB, 5.0)
    assert outcome.features is None
    close_all(descriptors)


async def test_an_error_of_a_request_that_wants_features_is_its_own(worker, far, endings):
    run = worker.run([WANTS, request()], endings.of("it"))
    (good,) = answer(run, floats(1)).answers
    far.say(Ran(run=run, answers=(Failed(code="tensor-invalid", message="not this"), good)), [floats(1)])
    bad, other = (await endings.wait())["it"]

    assert bad.code == "tensor-invalid"
    assert other.outputs[0].data == floats(1)


SCALE = spec_of("scale", "FP32", (4,))
PLACED = request(features=replace(WANTED, borrowed=(SCALE,)))
"""Of a model behind which a step reads a scale from before it."""


def scale(**changes):
    return TensorHead(**{"name": "scale", "dtype": "FP32", "shape": (4,), "size": 16} | changes)


async def test_what_steps_behind_the_model_read_from_before_it_comes_with_the_features(worker, far, endings):
    run = worker.run([PLACED], endings.of("it"))
    far.receive()
    far.say(with_features(run, head(), scale()), [floats(1, 5.0), floats(2, 6.0), floats(4, 7.0)])
    (outcome,) = (await endings.wait())["it"]

    assert [(found.name, found.data) for found in outcome.features] == [
        ("f", floats(2, 6.0)),
        ("scale", floats(4, 7.0)),
    ]


async def test_a_worker_is_told_how_large_features_may_be(worker, far, endings):
    """What is too large to be kept is not brought."""
    most = [8, 1 << 40]
    worker.run([request(features=replace(WANTED, most_bytes=bytes_)) for bytes_ in most], endings.of("it"))
    worker.run([request()], endings.of("another"))

    assert [item.most_feature_bytes for item in far.receive()[0].items] == [8, MAX_SEGMENT_BYTES]
    assert [item.most_feature_bytes for item in far.receive()[0].items] == [0]


async def test_known_features_are_given_whatever_room_there_is_for_others(worker, far, endings):
    known = replace(WANTED, most_bytes=-1, tensors=(tensor(),))
    worker.run([request(features=known)], endings.of("it"))

    assert [(item.features, item.most_feature_bytes) for item in far.receive()[0].items] == [("given", 0)]


LIES = {
    "of another name": (WANTS, [head(name="x")], [floats(2)]),
    "of another datatype": (WANTS, [head(dtype="INT32")], [floats(2)]),
    "of another rank": (WANTS, [head(shape=(1, 2))], [floats(2)]),
    "of another size": (WANTS, [head(shape=(3,))], [floats(2)]),
    "that are too many": (WANTS, [head(), head()], [floats(2)] * 2),
    "with half of the bytes": (WANTS, [head()], [floats(1)]),
    "of more bytes than are wanted": (request(features=replace(WANTED, most_bytes=7)), [head()], [floats(2)]),
    "without what is read behind the model": (PLACED, [head()], [floats(2)]),
    "with that alone": (PLACED, [scale()], [floats(4)]),
    "with that of another datatype": (PLACED, [head(), scale(dtype="INT32")], [floats(2), floats(4)]),
    "with that of another size": (PLACED, [head(), scale(shape=(3,), size=12)], [floats(2), floats(3)]),
    "with what nobody reads": (WANTS, [head(), scale()], [floats(2), floats(4)]),
    "in a segment that nobody gave": (WANTS, [head(segment=7)], []),
    "that nobody wants": (request(), [head()], [floats(2)]),
    "that were given": (request(features=replace(WANTED, tensors=(tensor(),))), [head()], [floats(2)]),
}


@pytest.mark.parametrize(("asked", "heads", "data"), LIES.values(), ids=list(LIES))
async def test_a_worker_that_lies_about_features_is_ended(worker, far, endings, asked, heads, data):
    run = worker.run([asked], endings.of("it"))
    far.receive()
    far.say(with_features(run, *heads), [floats(1, 5.0), *data])
    await far.death()
    await far.report()

    (outcome,) = (await endings.wait())["it"]
    assert isinstance(outcome, WorkerLostError)
    assert "what no worker says" in str(outcome)


async def test_features_lie_in_the_room_of_their_request_or_cost_the_worker(worker, far, endings):
    run = worker.run([WANTS, WANTS], endings.of("it"))
    far.receive()
    far.say(Ran(run=run, room_bytes=(MB, MB)))
    await turn_loop()
    give, _, descriptors = far.receive()
    first = give.rooms[0]
    features = head(1, segment=first.segment, offset=first.offset)
    outputs = [
        TensorHead(name="y", dtype="FP32", shape=(1,), size=4, segment=place.segment, offset=place.offset)
        for place in give.rooms
    ]
    far.say(Ran(run=run, answers=tuple(Answered(tensors=(each,), features=(features,)) for each in outputs)))
    await far.death()
    close_all(descriptors)
