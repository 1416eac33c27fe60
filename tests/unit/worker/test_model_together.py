"""Requests that share a run: each gets what it would get alone, and its own errors only."""

import numpy as np
import pytest

from edged.errors import BackendError, BundleError, DeadlineError, EdgedError, TensorError
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels
from edged.worker.arrays import to_tensor
from tests.fakes.loaded_models import ask, load, run_now, texts
from tests.fakes.workers import item_of, spec_of

ROWS = (spec_of("x", "FP32", (-1, 2)),), (spec_of("y", "FP32", (-1, 2)),)


def ask_together(model, *requests, execute=None):
    """The answers to requests of one tensor each, as lists; errors as they are."""
    questions = [model.question(*item_of(tensor)) for tensor in requests]
    results = model.answer(questions, execute or run_now(model))
    return [result if isinstance(result, EdgedError) else result["y"].tolist() for result in results]


@pytest.fixture
def calls():
    return []


@pytest.fixture
def batching(tmp_path, calls):
    def model(x):
        calls.append(len(x))
        if (x == 13).any():
            raise ValueError("13")
        return {"y": x * 2}

    return load(tmp_path, model, inputs=ROWS[0], outputs=ROWS[1], max_rows=8)


def pairs(*values):
    return to_tensor("x", np.array(values, dtype=np.float32).reshape(-1, 2))


def test_requests_that_share_a_run_get_what_they_would_get_alone(batching, calls):
    requests = [pairs(1, 2), pairs(3, 4, 5, 6), pairs(), pairs(7, 8)]

    together = ask_together(batching, *requests)

    assert calls == [4]
    assert together == [ask(batching, request)["y"].tolist() for request in requests]


def test_a_request_that_makes_the_run_fail_costs_only_itself(batching, calls):
    first, bad, last = ask_together(batching, pairs(1, 2), pairs(13, 0), pairs(3, 4))

    assert (first, last) == ([[2, 4]], [[6, 8]])
    assert isinstance(bad, BackendError)
    assert calls == [3, 1, 1, 1]


def test_requests_of_different_widths_run_in_groups(tmp_path, calls):
    def model(x):
        calls.append(x.shape)
        return {"y": x}

    wide = spec_of("x", "FP32", (-1, -1)), spec_of("y", "FP32", (-1, -1))
    model = load(tmp_path, model, inputs=wide[:1], outputs=wide[1:], max_rows=8)
    ones = [to_tensor("x", np.full((1, width), width, np.float32)) for width in (1, 2, 1)]

    assert ask_together(model, *ones) == [[[1]], [[2, 2]], [[1]]]
    assert calls == [(2, 1), (1, 2)]


def test_a_stopped_run_is_not_tried_again_for_each_request(batching):
    """It would wait in line for each of them, and be stopped each time."""
    tried = []

    def execute(session, inputs):
        tried.append(len(inputs["x"]))
        raise DeadlineError("stopped")

    results = ask_together(batching, pairs(1, 2), pairs(3, 4), execute=execute)

    assert [type(result) for result in results] == [DeadlineError, DeadlineError]
    assert tried == [2]


def test_a_model_whose_rows_depend_on_each_other_fails_all_and_says_what_to_do(tmp_path):
    model = load(tmp_path, lambda x: {"y": x.sum(axis=0, keepdims=True)}, inputs=ROWS[0], outputs=ROWS[1], max_rows=8)

    results = ask_together(model, pairs(1, 2), pairs(3, 4))

    assert [type(result) for result in results] == [BundleError, BundleError]
    assert "Remove batching" in results[0].hint


def test_without_the_manifests_promise_each_request_runs_alone(tmp_path, calls):
    def model(x):
        calls.append(len(x))
        return {"y": x}

    model = load(tmp_path, model, inputs=ROWS[0], outputs=ROWS[1])

    assert ask_together(model, pairs(1, 2), pairs(3, 4)) == [[[1, 2]], [[3, 4]]]
    assert calls == [1, 1]


def test_a_request_whose_steps_fail_does_not_take_part(tmp_path, calls):
    """Steps before and behind the model belong to one request each."""

    def model(x):
        calls.append(len(x))
        return {"y": x.astype(np.int64)}

    post = (Labels(input="y", output="label", file="labels.txt"),)
    window = BytesWindow(input="content", output="x", begin=1, end=1, block=8, padding=0)
    pipeline = Pipeline(
        inputs=(spec_of("content", "BYTES", (-1,)),),
        pre=(window,),
        post=post,
        outputs=(spec_of("label", "BYTES", (-1, 2)),),
    )
    model = load(
        tmp_path,
        model,
        inputs=[spec_of("x", "INT32", (-1, 2))],
        outputs=[spec_of("y", "INT64", (-1, 2))],
        pipeline=pipeline,
        files={"labels.txt": b"zero\none\n"},
        max_rows=8,
    )

    def content(*items):
        return model.question(*item_of(texts("content", *items)))

    good, two, unknown, last = model.answer(
        [content(b"\0\1"), content(b"\0", b"\1"), content(b"\7"), content(b"\1\1")], run_now(model)
    )

    assert calls == [3]
    assert good["label"].tolist() == [[b"zero", b"one"]]
    assert isinstance(two, TensorError)
    assert isinstance(unknown, BundleError)
    assert last["label"].tolist() == [[b"one", b"one"]]
