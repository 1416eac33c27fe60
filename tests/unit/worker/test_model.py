"""A model between its steps: what gets in, what comes out, and that its files are the signed ones."""

import os

import numpy as np
import pytest

from edged.errors import BackendError, BundleError, DigestMismatchError, TensorError
from edged.pipeline.datatypes import MAX_BYTES_ELEMENTS
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, TopK
from edged.worker.arrays import to_tensor
from edged.worker.model import read_pinned
from tests.fakes.loaded_models import X, Y, ask, floats, load, run_now, texts
from tests.fakes.workers import item_of, opened, pin, spec_of


@pytest.fixture
def doubling(tmp_path):
    return load(tmp_path, lambda x: {"y": x * 2, "z": -x}, outputs=[Y, spec_of("z", "FP32", (-1,))])


@pytest.mark.parametrize(
    ("tensors", "outputs"),
    [
        ([], []),
        ([floats("y", 1)], []),
        ([floats("x", 1), floats("x", 1)], []),
        ([floats("x", 1), floats("y", 1)], []),
        ([to_tensor("x", np.zeros(1, dtype=np.int32))], []),
        ([to_tensor("x", np.zeros((1, 1), dtype=np.float32))], []),
        ([floats("x", 1)], ["w"]),
        ([floats("x", 1)], ["y", "y"]),
    ],
)
def test_requests_that_do_not_fit_are_refused(doubling, tensors, outputs):
    with pytest.raises(TensorError):
        doubling.question(*item_of(*tensors, outputs=outputs))


def test_bytes_that_are_not_those_of_the_shape_are_refused(doubling):
    item, (part,) = item_of(floats("x", 1, 2))

    with pytest.raises(TensorError, match="has 8 bytes, got 4"):
        doubling.question(item, [part[:4]])


def test_an_output_unlike_the_manifest_is_the_publishers_fault(tmp_path):
    model = load(tmp_path, lambda x: {"y": x.astype(np.float64)})

    with pytest.raises(BundleError, match=r"gives y as FP64 \[1\], the manifest says FP32"):
        ask(model, floats("x", 1))


@pytest.mark.parametrize("surplus", [0, 1])
def test_more_texts_than_a_tensor_may_have_are_the_publishers_fault(tmp_path, surplus):
    """The daemon would end the worker for them."""
    count = MAX_BYTES_ELEMENTS + surplus
    model = load(tmp_path, lambda x: {"y": np.full(count, b"", object)}, outputs=[spec_of("y", "BYTES", (-1,))])

    if surplus:
        with pytest.raises(BundleError, match="at most 65536"):
            ask(model, floats("x", 1))
    else:
        assert ask(model, floats("x", 1))["y"].shape == (count,)


def test_steps_find_their_files(tmp_path):
    post = (TopK(input="y", values="v", indices="i", k=1), Labels(input="i", output="label", file="labels.txt"))
    pipeline = Pipeline(inputs=(X,), post=post, outputs=(spec_of("label", "BYTES", (1,)),))
    model = load(tmp_path, lambda x: {"y": x}, pipeline=pipeline, files={"labels.txt": b"no\nyes\n"})

    assert ask(model, floats("x", 0.1, 0.9))["label"].tolist() == [b"yes"]


def test_an_app_may_send_what_the_steps_would_make(tmp_path):
    window = BytesWindow(input="content", output="x", begin=1, end=1, block=8, padding=-1)
    pipeline = Pipeline(inputs=(spec_of("content", "BYTES", (1,)),), pre=(window,), outputs=(Y,))
    model = load(
        tmp_path,
        lambda x: {"y": x[0].astype(np.float32)},
        inputs=[spec_of("x", "INT32", (-1, 2))],
        pipeline=pipeline,
    )

    assert ask(model, texts("content", b"\x01..\x02"))["y"].tolist() == [1, 2]
    assert ask(model, to_tensor("x", np.array([[1, 2]], np.int32)))["y"].tolist() == [1, 2]


def test_steps_that_do_not_give_what_the_model_takes_are_the_publishers_fault(tmp_path):
    window = BytesWindow(input="content", output="x", begin=1, end=1, block=8, padding=-1)
    pipeline = Pipeline(inputs=(spec_of("content", "BYTES", (1,)),), pre=(window,), outputs=(Y,))
    model = load(tmp_path, lambda x: {"y": x}, pipeline=pipeline)

    with pytest.raises(BundleError, match=r"the steps before the model give x as INT32 \[1, 2\]"):
        ask(model, texts("content", b""))


def test_a_request_the_memory_is_too_small_for_fails_alone(tmp_path):
    def model(x):
        if x[0]:
            raise MemoryError
        return {"y": x}

    loaded = load(tmp_path, model)

    with pytest.raises(BackendError, match="memory limit"):
        ask(loaded, floats("x", 1))
    assert ask(loaded, floats("x", 0))["y"].tolist() == [0]


def test_an_error_that_is_kept_keeps_nothing_else_alive(tmp_path):
    """A traceback would keep the frames of the run, and so its arrays, for as long as somebody has the error."""
    model = load(tmp_path, lambda x: {"y": x.astype(np.float64)})

    (error,) = model.answer([model.question(*item_of(floats("x", 1)))], run_now(model))

    assert error.__traceback__ is None


def test_a_file_is_read_whole_and_checked(tmp_path):
    with opened(tmp_path, b"content") as (descriptor,):
        assert read_pinned(descriptor, pin("f", b"content")) == b"content"
        for other in (b"conten", b"content!", b"Content"):
            with pytest.raises(DigestMismatchError, match=r"(was|were) signed"):
                read_pinned(descriptor, pin("f", other))


def test_a_file_is_read_from_its_beginning_wherever_the_descriptor_stands(tmp_path):
    """A descriptor handed to a second worker shares its position with the first."""
    with opened(tmp_path, b"content") as (descriptor,):
        os.lseek(descriptor, 0, os.SEEK_END)

        assert read_pinned(descriptor, pin("f", b"content")) == b"content"


def test_an_empty_file_is_a_file(tmp_path):
    with opened(tmp_path, b"") as (descriptor,):
        assert read_pinned(descriptor, pin("f", b"")) == b""
