"""Steps after the model that read what there was before it: each request gets its own back, and nobody else's."""

import numpy as np
import pytest

from edged.errors import BackendError, BundleError, TensorError
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import L2Normalize, MeanPool, Scale, ScaleBoxes
from edged.runtime.wire import Step
from edged.worker.arrays import to_tensor
from tests.fakes.lendings import LARGE, Bench, Gate, X
from tests.fakes.loaded_models import ask, floats, load, run_now
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import item_of, spec_of

BOXES = spec_of("boxes", "FP32", (-1, 4))
PLACED = spec_of("placed", "FP32", (-1, 4))
SCALE = spec_of("scale", "FP32", (4,))
BACK = ScaleBoxes(input="boxes", scale="scale", output="placed", form="xyxy")
TOKENS, MASK, TEXT = (
    spec_of("t", "FP32", (-1, -1, 2)),
    spec_of("mask", "INT64", (-1, -1)),
    spec_of("p", "FP32", (-1, 2)),
)


def detector(tmp_path, calls=None, **fields):
    """A model that finds its inputs; what was sent beside them says how to place these."""
    calls = [] if calls is None else calls

    def model(rows):
        calls.append(len(rows))
        return {"boxes": rows * 2}

    rows = spec_of("rows", "FP32", (-1, 4))
    sent = spec_of("sent", "FP32", (-1, 4))
    pipeline = Pipeline(
        inputs=(sent, SCALE), pre=(Scale(input="sent", output="rows", gain=1.0),), post=(BACK,), outputs=(PLACED,)
    )
    return load(tmp_path, model, inputs=[rows], outputs=[BOXES], pipeline=pipeline, **fields)


def request(value, scale, rows=1):
    return [to_tensor("sent", np.full((rows, 4), value, np.float32)), floats("scale", scale, scale, 0, 0)]


def placed_together(model, *requests):
    questions = [model.question(*item_of(*tensors)) for tensors in requests]
    return [
        answer["placed"][:, 0].tolist() if isinstance(answer, dict) else answer
        for answer in model.answer(questions, run_now(model))
    ]


def test_a_step_behind_the_model_reads_what_was_sent(tmp_path):
    assert ask(detector(tmp_path), *request(3, 0.5))["placed"].tolist() == [[12] * 4]


def test_each_request_of_a_batch_gets_back_what_it_sent(tmp_path):
    calls = []
    model = detector(tmp_path, calls, max_rows=8)

    answers = placed_together(model, request(1, 1), request(2, 0.5, rows=2), request(3, 0.25))

    assert calls == [4]
    assert answers == [[2], [8, 8], [24]]


def test_a_request_of_a_batch_that_cannot_be_placed_fails_alone(tmp_path):
    first, bad, last = placed_together(detector(tmp_path, max_rows=8), request(1, 1), request(2, 0), request(3, 1))

    assert (first, last) == ([2], [6])
    assert isinstance(bad, TensorError)


def test_the_models_own_inputs_are_refused_where_something_from_before_is_missing(tmp_path):
    with pytest.raises(TensorError, match="needs scale from before it"):
        ask(detector(tmp_path), to_tensor("rows", np.ones((1, 4), np.float32)))


def embedder(tmp_path, pre=(), inputs=(TOKENS, MASK), **fields):
    pipeline = Pipeline(
        inputs=tuple(inputs), pre=pre, post=(MeanPool(input="tokens", mask="mask", output="p"),), outputs=(TEXT,)
    )
    return load(
        tmp_path,
        lambda t, mask: {"tokens": t},
        inputs=[TOKENS, MASK],
        outputs=[spec_of("tokens", "FP32", (-1, -1, 2))],
        pipeline=pipeline,
        **fields,
    )


def tokens(name="t"):
    return [to_tensor(name, np.float32([[[1, 2], [3, 6]]])), to_tensor("mask", np.array([[1, 0]]))]


def test_a_model_without_steps_before_it_gives_its_inputs_to_those_behind_it(tmp_path):
    assert ask(embedder(tmp_path), *tokens())["p"].tolist() == [[1, 2]]


def test_the_models_own_inputs_may_bring_what_is_needed(tmp_path):
    """The mask is made by a step, or sent as the model takes it."""
    model = embedder(tmp_path, (L2Normalize(input="raw", output="t"),), [spec_of("raw", "FP32", (-1, -1, 2)), MASK])

    assert ask(model, *tokens())["p"].tolist() == [[1, 2]]
    np.testing.assert_allclose(ask(model, *tokens("raw"))["p"], np.float32([[1, 2]]) / np.sqrt(5), rtol=1e-6)


def test_an_output_of_the_model_hides_what_had_its_name_before(tmp_path):
    """So nothing is missing from a request that brings only the model's own inputs."""
    pipeline = Pipeline(
        inputs=(spec_of("y", "FP32", (-1,)),),
        pre=(Scale(input="y", output="x", gain=10.0),),
        post=(Scale(input="y", output="z", gain=1.0, offset=1.0),),
        outputs=(spec_of("z", "FP32", (-1,)),),
    )
    model = load(tmp_path, lambda x: {"y": x * 2}, pipeline=pipeline)

    assert ask(model, floats("y", 1))["z"].tolist() == [21]
    assert ask(model, floats("x", 1))["z"].tolist() == [3]


def test_a_question_that_was_answered_keeps_nothing(tmp_path):
    """A connection of the tensor socket asks the same question again and again, and may pause for hours."""
    model = detector(tmp_path)
    question = model.question(*item_of(*request(3, 0.5)))

    for _ in range(2):
        (answer,) = model.answer([question], run_now(model))
        assert answer["placed"].tolist() == [[12] * 4]
        assert question.borrowed == {}
    (error,) = model.answer([question], fails)
    assert isinstance(error, BackendError)
    assert question.borrowed == {}


def fails(session, inputs):
    raise BackendError("no memory")


def test_what_is_read_again_behind_the_model_is_copied_before_a_client_could_change_it(tmp_path):
    """A step checks a value and then uses it: in between it has to stay what it was."""
    gate = Gate()
    z = spec_of("z", "FP32", (-1,))
    pipeline = Pipeline(inputs=(X,), post=(Scale(input="x", output="z", gain=1.0),), outputs=(z,))

    with Bench(tmp_path, gate, pipeline=pipeline) as lending:
        loan = lending.lend()
        loan.send(LARGE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        loan.place(LARGE * 2)
        gate.leave.release()

        assert loan.read(loan.receive()).tolist() == LARGE.tolist()


def test_a_sequence_has_what_each_of_its_requests_sent(tmp_path):
    """States go through the model; what was sent with a request goes to the steps behind it."""
    pipeline = Pipeline(
        inputs=(spec_of("rows", "FP32", (-1, 4)), SCALE, spec_of("h", "FP32", (1, 4))),
        pre=(Scale(input="rows", output="double", gain=2.0),),
        post=(BACK,),
        outputs=(PLACED,),
    )
    model = load(
        tmp_path,
        lambda double, h: {"boxes": double + h, "hn": double + h},
        inputs=[spec_of("double", "FP32", (-1, 4)), spec_of("h", "FP32", (1, 4))],
        outputs=[BOXES, spec_of("hn", "FP32", (1, 4))],
        pipeline=pipeline,
        state={"h": "hn"},
    )
    rows = to_tensor("rows", np.ones((1, 4), np.float32))

    answers = [
        ask(model, rows, floats("scale", scale, scale, 0, 0), sequence=step(start=scale == 1))["placed"][0, 0]
        for scale in (1, 0.5, 0.25)
    ]

    assert answers == [2, 8, 24]


def step(*, start):
    return Step(uid=1, id="a", is_start=start, is_end=False)


def test_a_state_that_a_step_behind_the_model_reads_is_refused_with_the_model(tmp_path):
    """Within a sequence nobody sends it."""
    h = spec_of("h", "FP32", (-1,))
    pipeline = Pipeline(
        inputs=(spec_of("x", "FP32", (-1,)), h), post=(Scale(input="h", output="z", gain=1.0),), outputs=(h,)
    )

    with pytest.raises(BundleError, match="reads or writes h, which is a state"):
        load(
            tmp_path,
            lambda x, h: {"y": x, "hn": h},
            inputs=pipeline.inputs,
            outputs=[spec_of("y", "FP32", (-1,)), spec_of("hn", "FP32", (-1,))],
            pipeline=pipeline,
            state={"h": "hn"},
        )
