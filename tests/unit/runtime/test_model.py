"""A model between its steps: what gets in, what comes out, and that its files are the signed ones."""

import os

import numpy as np
import pytest

from edged.errors import BundleError, DigestMismatchError, TensorError
from edged.pipeline.spec import Pipeline
from edged.pipeline.steps import Labels, TopK
from edged.runtime.arrays import to_array, to_tensor
from edged.runtime.model import load_model, read_pinned
from tests.fakes.backends import FakeBackend
from tests.fakes.workers import opened, pin, spec_of, worker_spec

MODEL = b"the model"


def load(tmp_path, function, *, inputs, outputs, pipeline=None, files=None):
    spec = worker_spec(MODEL, inputs, outputs, pipeline=pipeline, files=files)
    with opened(tmp_path, MODEL, *(files or {}).values()) as descriptors:
        return load_model(spec, descriptors, FakeBackend({MODEL: function}))


@pytest.fixture
def doubling(tmp_path):
    x, y, z = (spec_of(name, "FP32", (-1,)) for name in "xyz")
    return load(tmp_path, lambda x: {"y": x * 2, "z": -x}, inputs=[x], outputs=[y, z])


def floats(name, *values):
    return to_tensor(name, np.array(values, dtype=np.float32))


def test_all_outputs_come_in_the_manifests_order_unless_some_are_named(doubling):
    assert [tensor.name for tensor in doubling.infer([floats("x", 1)], [])] == ["y", "z"]
    assert [tensor.name for tensor in doubling.infer([floats("x", 1)], ["z", "y"])] == ["z", "y"]
    assert [tensor.name for tensor in doubling.infer([floats("x", 1)], ["z"])] == ["z"]


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
    ],
)
def test_requests_that_do_not_fit_are_refused(doubling, tensors, outputs):
    with pytest.raises(TensorError):
        doubling.infer(tensors, outputs)


def test_an_output_unlike_the_manifest_is_the_publishers_fault(tmp_path):
    x, y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
    model = load(tmp_path, lambda x: {"y": x.astype(np.float64)}, inputs=[x], outputs=[y])

    with pytest.raises(BundleError, match=r"gives y as FP64 \[1\], the manifest says FP32"):
        model.infer([floats("x", 1)], [])


def test_steps_find_their_files(tmp_path):
    post = (TopK(input="y", values="v", indices="i", k=1), Labels(input="i", output="label", file="labels.txt"))
    pipeline = Pipeline(inputs=(spec_of("x", "FP32", (-1,)),), post=post, outputs=(spec_of("label", "BYTES", (1,)),))
    model = load(
        tmp_path,
        lambda x: {"y": x},
        inputs=[spec_of("x", "FP32", (-1,))],
        outputs=[spec_of("y", "FP32", (-1,))],
        pipeline=pipeline,
        files={"labels.txt": b"no\nyes\n"},
    )

    assert to_array(model.infer([floats("x", 0.1, 0.9)], [])[0]).tolist() == [b"yes"]


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
