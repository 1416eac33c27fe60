"""Requests of a sequence: what the model finds, what it leaves, and what such requests may carry."""

import numpy as np
import pytest

from edged.errors import BackendError, BundleError, RequestError, SequenceError, TensorError
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels
from edged.runtime.wire import Step
from tests.fakes.loaded_models import X, Y, ask, floats, load, run_now
from tests.fakes.workers import item_of, spec_of

H = spec_of("h", "FP32", (1,)), spec_of("g", "FP32", (1,))


def accumulate(x, h):
    if (x < 0).any():
        raise ValueError("negative")
    return {"y": x + h, "g": h + x.sum(keepdims=True)}


@pytest.fixture
def adding(tmp_path):
    """``y`` is ``x`` plus all that came before in the sequence."""
    return load(tmp_path, accumulate, inputs=[X, H[0]], outputs=[Y, H[1]], state={"h": "g"})


def step(id_=1, *, start=False, end=False):
    return Step(uid=0, id=id_, is_start=start, is_end=end)


def test_a_sequence_carries_its_state_from_request_to_request(adding):
    first = ask(adding, floats("x", 1), sequence=step(start=True))
    second = ask(adding, floats("x", 2), sequence=step())
    third = ask(adding, floats("x", 3), sequence=step(end=True))

    assert [answer["y"].tolist() for answer in (first, second, third)] == [[1], [3], [6]]
    with pytest.raises(SequenceError):
        ask(adding, floats("x", 1), sequence=step())


def test_a_request_without_a_sequence_brings_its_own_states(adding):
    assert ask(adding, floats("x", 1), floats("h", 5))["y"].tolist() == [6]
    with pytest.raises(TensorError, match="inputs are x; expected x, h"):
        adding.question(*item_of(floats("x", 1)))


def test_a_state_may_not_be_sent_with_a_request_of_a_sequence(adding):
    with pytest.raises(TensorError, match="input h is a state"):
        adding.question(*item_of(floats("x", 1), floats("h", 5), sequence=step(start=True)))


def test_a_request_that_fails_in_the_model_changes_no_state(adding):
    ask(adding, floats("x", 1), sequence=step(start=True))
    with pytest.raises(BackendError, match="negative"):
        ask(adding, floats("x", -1), sequence=step())

    assert ask(adding, floats("x", 2), sequence=step())["y"].tolist() == [3]


def test_a_request_that_fails_behind_the_model_changes_no_state(tmp_path):
    post = (Labels(input="i", output="label", file="labels.txt"),)
    model = load(
        tmp_path,
        lambda x, h: {"i": (x + h).astype(np.int64), "g": h + x},
        inputs=[X, H[0]],
        outputs=[spec_of("i", "INT64", (-1,)), H[1]],
        pipeline=Pipeline(inputs=(X, H[0]), post=post, outputs=(spec_of("label", "BYTES", (-1,)),)),
        files={"labels.txt": b"zero\none\n"},
        state={"h": "g"},
    )
    ask(model, floats("x", 0), sequence=step(start=True))
    with pytest.raises(BundleError, match="outside"):
        ask(model, floats("x", 5), sequence=step())

    assert ask(model, floats("x", 1), sequence=step())["label"].tolist() == [b"one"]


def test_a_state_the_model_itself_would_not_take_is_the_publishers_fault(tmp_path):
    model = load(
        tmp_path,
        lambda x, h: {"y": x, "g": np.zeros(2, np.float32)},
        inputs=[X, H[0]],
        outputs=[Y, spec_of("g", "FP32", (-1,))],
        state={"h": "g"},
    )

    with pytest.raises(BundleError, match="gives g, which becomes h"):
        ask(model, floats("x", 1), sequence=step(start=True))


def test_several_requests_of_sequences_in_one_message_go_one_by_one(adding):
    questions = [
        adding.question(*item_of(floats("x", amount), sequence=step(id_, start=True)))
        for id_, amount in ((1, 1), (2, 5), (1, 2))
    ]

    answers = adding.answer(questions, run_now(adding))

    assert [answer["y"].tolist() for answer in answers] == [[1], [5], [2]]


def test_a_model_without_states_takes_no_sequences(tmp_path):
    model = load(tmp_path, lambda x: {"y": x})

    with pytest.raises(RequestError, match="keeps no state") as caught:
        model.question(*item_of(floats("x", 1), sequence=step(start=True)))
    assert caught.value.pointer == "/parameters/sequence_id"


def test_steps_that_make_or_read_a_state_are_refused_with_the_model(tmp_path):
    window = BytesWindow(input="content", output="h", begin=1, end=1, block=8, padding=-1)
    pipeline = Pipeline(inputs=(X, spec_of("content", "BYTES", (1,))), pre=(window,), outputs=(Y,))

    with pytest.raises(BundleError, match="reads or writes h, which is a state"):
        load(tmp_path, accumulate, inputs=[X, H[0]], outputs=[Y, H[1]], state={"h": "g"}, pipeline=pipeline)
