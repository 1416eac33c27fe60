"""What a kit may hold: samples that are requests, and golden data that are tensors."""

import pytest

from edged.bundle.kit import Golden, Sample, SampleInput, mistake, mistake_in_inputs
from edged.pipeline.spec import TensorSpec


def sample(*data, dtype="FP32", shape=None):
    golden = Golden(name="y", dtype=dtype, shape=shape or (len(data),), data=data)
    return Sample(name="one", input="samples/one", golden=(golden,))


@pytest.mark.parametrize(
    ("golden", "dtype", "reason"),
    [
        (sample(1, dtype="INT32"), "FP32", "is INT32, the pipeline gives FP32"),
        (sample(shape=(1,)), "FP32", "has 0 values for shape [1]"),
        (sample(1.0, 2.0, shape=(1,)), "FP32", "has 2 values for shape [1]"),
        (sample("1"), "FP32", "has values that are no FP32"),
        (sample(1, dtype="BYTES"), "BYTES", "has values that are no BYTES"),
        (sample(10**400, dtype="FP64"), "FP64", "has numbers that no FP64 can hold"),
        (sample(1e39), "FP32", "has numbers that no FP32 can hold"),
        (sample(256, dtype="UINT8"), "UINT8", "has numbers that no UINT8 can hold"),
        (sample(0.5, dtype="INT64"), "INT64", "has numbers that no INT64 can hold"),
        (sample(2, dtype="BOOL"), "BOOL", "has numbers that no BOOL can hold"),
        (sample(255, 3.0, dtype="UINT8"), "UINT8", ""),
        (sample("x", dtype="BYTES"), "BYTES", ""),
    ],
)
def test_golden_data_are_a_tensor_of_the_pipelines_output_or_a_mistake(golden, dtype, reason):
    assert mistake(golden.golden[0], dtype) == reason


CONTENT = TensorSpec(name="content", dtype="BYTES", shape=(1,))
FRAME = TensorSpec(name="frame", dtype="UINT8", shape=(-1, 2))
GAIN = TensorSpec(name="gain", dtype="FP16", shape=())


def with_inputs(*inputs):
    return Sample(name="one", inputs=inputs, golden=(Golden(name="y", dtype="FP32", shape=(1,), data=(1.0,)),))


@pytest.mark.parametrize(
    ("asked", "specs"),
    [
        (sample(1.0), [CONTENT]),
        (with_inputs(SampleInput(name="content", shape=(1,), file="samples/one")), [CONTENT]),
        (
            with_inputs(
                SampleInput(name="gain", shape=(), data=(0.5,)),
                SampleInput(name="frame", shape=(3, 2), file="samples/f"),
            ),
            [FRAME, GAIN],
        ),
        (with_inputs(SampleInput(name="frame", shape=(1, 2), data=(0, 255))), [FRAME]),
    ],
)
def test_a_sample_is_a_file_or_all_of_the_pipelines_inputs(asked, specs):
    assert mistake_in_inputs(asked, specs) == ""


@pytest.mark.parametrize(
    ("asked", "specs", "reason"),
    [
        (with_inputs(), [FRAME], "has to have either input or inputs"),
        (sample(1.0), [FRAME], "is a file, but the pipeline's input is not one tensor of BYTES"),
        (sample(1.0), [CONTENT, GAIN], "is a file, but the pipeline's input is not one tensor of BYTES"),
        (with_inputs(SampleInput(name="frame", shape=(1, 2), data=(1, 2))), [FRAME, GAIN], "other inputs"),
        (with_inputs(SampleInput(name="frame", shape=(2, 3), data=(0,) * 6)), [FRAME], "shape [2, 3]"),
        (with_inputs(SampleInput(name="frame", shape=(1, 2))), [FRAME], "either file or data"),
        (with_inputs(SampleInput(name="frame", shape=(1, 2), data=(1, 2), file="f")), [FRAME], "either file or data"),
        (with_inputs(SampleInput(name="frame", shape=(1, 2), data=(1,))), [FRAME], "1 values for shape"),
        (with_inputs(SampleInput(name="frame", shape=(1, 2), data=(1, 256))), [FRAME], "numbers that no UINT8"),
        (with_inputs(SampleInput(name="gain", shape=(), data=(1e9,))), [GAIN], "numbers that no FP16"),
        (with_inputs(SampleInput(name="content", shape=(1,), data=(1,))), [CONTENT], "only a file"),
    ],
)
def test_a_sample_that_is_no_request_is_told_why(asked, specs, reason):
    assert reason in mistake_in_inputs(asked, specs)
