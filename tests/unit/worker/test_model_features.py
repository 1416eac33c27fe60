"""What the steps before a model make of a request: told to whoever wants it, and taken from whoever knows it."""

import numpy as np
import pytest

from edged.errors import TensorError
from edged.pipeline.kernels import Stage
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import Resize, Scale, ScaleBoxes
from edged.pipeline.steps.scaling import Scaling
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import INLINE_BYTES, Answered
from edged.worker.arrays import to_tensor
from edged.worker.graphs import Graphs
from edged.worker.model import Model
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import ManualClock
from tests.fakes.loaded_models import MODEL, X, Y, ask, floats, load, run_now, texts
from tests.fakes.near_ends import Channels, NearEnd
from tests.fakes.workers import item_of, spec_of, worker_spec

WANTED = {"features": "wanted", "most_feature_bytes": 1 << 30}
LARGE = INLINE_BYTES // 4 + 1
"""Elements of a tensor that is just too large for a datagram."""
SENT = spec_of("sent", "FP32", (-1,))
TENFOLD = Scale(input="sent", output="x", gain=10.0)
PIPELINE = Pipeline(inputs=(SENT,), pre=(TENFOLD,), outputs=(Y,))
IMAGE, SMALL = (spec_of(name, "UINT8", (-1, -1, 1)) for name in ("image", "small"))
BOXES, PLACED = (spec_of(name, "FP32", (-1, 4)) for name in ("boxes", "placed"))
SCALE = spec_of("scale", "FP32", (4,))
WHOLE = np.float32([[0, 0, 1, 1]])


def asked(model, *tensors, **fields):
    """A question, answered, and its answer."""
    question = model.question(*item_of(*tensors, **fields))
    (answer,) = model.answer([question], run_now(model))
    return question, answer


def test_features_are_the_models_own_inputs(tmp_path):
    model = load(tmp_path, lambda x: {"y": x + 1}, pipeline=PIPELINE)
    question, answer = asked(model, floats("sent", 1, 2), **WANTED)

    assert {name: array.tolist() for name, array in question.features.items()} == {"x": [10, 20]}
    assert answer["y"].tolist() == [11, 21]


def test_nobody_is_told_features_who_does_not_want_them(tmp_path):
    model = load(tmp_path, lambda x: {"y": x}, pipeline=PIPELINE)

    assert asked(model, floats("sent", 1))[0].features is None
    assert asked(model, floats("x", 1), **WANTED)[0].features is None, "no step was done"


def test_the_answer_is_the_same_from_the_inputs_and_from_the_features(tmp_path):
    model = load(tmp_path, lambda x: {"y": x + 1}, pipeline=PIPELINE)
    question, answer = asked(model, floats("sent", 0.1, 2), **WANTED)
    features = [to_tensor(name, array) for name, array in question.features.items()]

    again = ask(model, *features, features="given")
    assert again["y"].tobytes() == answer["y"].tobytes()


def test_features_with_the_names_of_inputs_are_not_taken_for_those(tmp_path):
    """Steps may write to the names that they read: nobody could tell by the tensors which of the two they are."""
    pipeline = Pipeline(inputs=(X,), pre=(Scale(input="x", output="x", gain=10.0),), outputs=(Y,))
    model = load(tmp_path, lambda x: {"y": x}, pipeline=pipeline)

    assert ask(model, floats("x", 1))["y"].tolist() == [10]
    assert ask(model, floats("x", 10), features="given")["y"].tolist() == [10]


def test_features_that_the_model_does_not_take_are_refused(tmp_path):
    model = load(tmp_path, lambda x: {"y": x}, pipeline=PIPELINE)

    with pytest.raises(TensorError, match="inputs are sent"):
        ask(model, floats("sent", 1), features="given")


def detector(tmp_path, model=lambda small: {"boxes": WHOLE}, inputs=(SMALL,), **keys):
    """A model that finds one box, all of the small image; where that is on the large one is said by the scale of the step before it."""
    resize = Resize(
        input="image",
        output="small",
        height=32,
        width=32,
        scale="scale",
        scaling=Scaling(least=0.25, multiple=8),
    )
    pipeline = Pipeline(
        inputs=(IMAGE,),
        pre=(resize,),
        post=(ScaleBoxes(input="boxes", scale="scale", output="placed", form="xyxy", shares_of=(32, 32), **keys),),
        outputs=(PLACED,),
    )
    return load(tmp_path, model, inputs=inputs, outputs=[BOXES], pipeline=pipeline)


def picture(height=64, width=128):
    return to_tensor("image", np.zeros((height, width, 1), np.uint8))


def tensors_of(question):
    return [to_tensor(name, array) for name, array in question.features.items()]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["small", "scale"]),
        ({"inputs": (SMALL, SCALE), "model": lambda small, scale: {"boxes": WHOLE}}, ["small", "scale"]),
        ({"image": "image"}, ["small", "image", "scale"]),
        ({"image": "image", "model": lambda image: {"boxes": WHOLE}, "inputs": (IMAGE,)}, ["image", "scale"]),
    ],
    ids=["a scale", "a scale that the model takes, too", "an input", "one that the model takes, too"],
)
def test_features_are_also_what_steps_behind_the_model_read_from_before_it(tmp_path, fields, names):
    model = detector(tmp_path, **fields)
    question, answer = asked(model, picture(), **WANTED)
    again = ask(model, *tensors_of(question), features="given")

    assert list(question.features) == names
    assert answer["placed"].tolist() == again["placed"].tolist() == [[0, 0, 128, 64]]


def test_of_a_photo_that_only_keeps_boxes_inside_of_it_the_shape_is_known(tmp_path):
    model = detector(tmp_path, image="image")
    question, _ = asked(model, picture(), **WANTED)

    assert question.features["image"].tolist() == [64, 128, 1]


@pytest.mark.parametrize("shape", [[-1, 128, 1], [1 << 40, 1 << 40, 1], [64, 128]], ids=["negative", "huge", "flat"])
def test_a_shape_that_no_photo_has_costs_its_request_only(tmp_path, shape):
    model = detector(tmp_path, image="image")
    question, _ = asked(model, picture(), **WANTED)
    question.features["image"] = np.array(shape)

    with pytest.raises(TensorError, match="image"):
        ask(model, *tensors_of(question), features="given")


@pytest.mark.parametrize("wrong", [[], [floats("scale", 1, 1, 0)], [floats("scale", 1, 1, 0, 0), floats("more", 1)]])
def test_features_that_are_not_all_that_is_read_behind_the_steps_are_refused(tmp_path, wrong):
    small = to_tensor("small", np.zeros((32, 32, 1), np.uint8))

    with pytest.raises(TensorError, match=r"inputs are|tensor scale"):
        ask(detector(tmp_path), small, *wrong, features="given")


def test_features_of_more_bytes_than_are_wanted_are_not_told(tmp_path):
    model, size = detector(tmp_path), 32 * 32 + 16
    questions = [asked(model, picture(), features="wanted", most_feature_bytes=most)[0] for most in (size, size - 1, 0)]

    assert [question.features is not None for question in questions] == [True, False, False]


def test_texts_count_as_they_travel(tmp_path):
    text = spec_of("text", "BYTES", (-1,))
    model = load(
        tmp_path, lambda x: {"y": x}, pipeline=Pipeline(inputs=(SENT, text), pre=(TENFOLD,), outputs=(Y, text))
    )
    sent, size = (floats("sent", 1), texts("text", b"four", b"")), 4 + (4 + 4) + 4
    told, untold = (
        asked(model, *sent, features="wanted", most_feature_bytes=most)[0].features for most in (size, size - 1)
    )

    assert {name: array.tolist() for name, array in told.items()} == {"x": [10], "text": [b"four", b""]}
    assert untold is None


def test_a_step_that_gives_another_type_than_it_says_costs_only_the_features(tmp_path):
    """Nobody depends on that type but the daemon, which would take it for a lie."""
    step, kept = Scale(input="sent", output="kept", gain=1.0), spec_of("kept", "FP32", (-1,))
    spec = worker_spec(MODEL, [X], [Y], pipeline=Pipeline(inputs=(SENT,), pre=(TENFOLD, step), outputs=(Y, kept)))
    backend = FakeBackend({MODEL: lambda x: {"y": x}})
    kernels = [lambda known: {"x": known["sent"]}, lambda known: {"kept": known["sent"].astype(np.float64)}]
    model = Model(
        spec,
        backend.load(MODEL, spec.variant),
        Stage(spec.pipeline.pre, kernels),
        Stage((), ()),
        Graphs(backend),
        clock=ManualClock().monotonic_s,
    )
    question, answer = asked(model, floats("sent", 1), **WANTED, outputs=("y",))

    assert answer["y"].tolist() == [1]
    assert question.features is None


def test_steps_behind_the_model_are_those_of_the_size_that_the_features_have(tmp_path):
    """Boxes that are shares of the model's image are turned into places by its size."""
    model = detector(tmp_path)
    question, answer = asked(model, picture(64, 64), **WANTED, scale=0.5)

    assert question.features["small"].shape == (16, 16, 1)
    assert answer["placed"].tolist() == [[0, 0, 64, 64]]
    assert ask(model, *tensors_of(question), features="given", scale=0.5)["placed"].tolist() == [[0, 0, 64, 64]]


def test_requests_of_a_batch_have_features_of_their_own(tmp_path):
    model = load(tmp_path, lambda x: {"y": x}, pipeline=PIPELINE, max_rows=8)
    items = [
        item_of(floats("sent", 1), **WANTED),
        item_of(floats("sent", 2, 3), **WANTED),
        item_of(floats("x", 40), features="given"),
    ]
    questions = [model.question(*item) for item in items]
    answers = model.answer(questions, run_now(model))

    assert [answer["y"].tolist() for answer in answers] == [[10], [20, 30], [40]]
    assert [question.features and question.features["x"].tolist() for question in questions] == [[10], [20, 30], None]


@pytest.fixture
def growing(tmp_path):
    """Its model says how many elements it got."""
    backend = FakeBackend({MODEL: lambda x: {"y": np.float32([len(x)])}})
    with NearEnd(worker_spec(MODEL, [X], [Y], pipeline=PIPELINE), backend, tmp_path, MODEL) as near:
        near.load()
        yield near


@pytest.fixture
def pool():
    return SharedMemory(max_bytes=lambda: 64 << 20)


def test_small_features_go_with_the_message_behind_the_outputs(growing):
    growing.send(1, [floats("sent", 1, 2)], **WANTED)
    ran, payload = growing.receive()
    (answer,) = ran.answers

    assert [head.name for head in (*answer.tensors, *answer.features)] == ["y", "x"]
    assert np.frombuffer(payload, np.float32).tolist() == [2, 10, 20]


def test_large_features_lie_in_the_room_that_the_answer_was_given(growing, pool):
    growing.send(1, [floats("sent", *range(LARGE))], **WANTED)
    wish, _ = growing.receive()
    room = pool.take_room(wish.room_bytes[0])
    growing.give(1, Channels.place(room), pieces=[room])
    ran, payload = growing.receive()
    (answer,) = ran.answers
    (features,) = answer.features

    assert wish.room_bytes == (64 + -(-4 * LARGE // 64) * 64,)
    assert len(payload) == 0
    made = np.frombuffer(room.read(features.offset, features.size), np.float32)
    assert made.tolist() == [10 * value for value in range(LARGE)]
    room.release()


def test_features_without_room_are_left_out_of_the_answer(growing):
    growing.send(1, [floats("sent", *range(LARGE))], [floats("sent", 1)], **WANTED)
    wish, _ = growing.receive()
    growing.give(1, None, None)
    ran, payload = growing.receive()
    large, small = ran.answers

    assert wish.room_bytes[1] == 0
    assert isinstance(large, Answered)
    assert (len(large.features), len(small.features)) == (0, 1)
    assert np.frombuffer(payload, np.float32).tolist() == [LARGE, 1, 10]
