"""What a kit may hold: samples that are requests, and golden data that are tensors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle.kit import Golden, Sample, SampleInput, mistake, mistake_in_inputs
from edged.pipeline.datatypes import NUMBERS, can_hold
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
        (sample(0.5, 1, "1", dtype="BOOL"), "BOOL", "has values that are no BOOL"),
        (sample("1", 1, dtype="BYTES"), "BYTES", "has values that are no BYTES"),
        (sample(0.5, 10**400, dtype="FP64"), "FP64", "has numbers that no FP64 can hold"),
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


@pytest.mark.parametrize(
    ("golden", "reason"),
    [
        (Golden(name="y", dtype="FP32", shape=(9,), file="golden/y"), ""),
        (Golden(name="y", dtype="FP32", shape=(1,), file="golden/y", data=(1.0,)), "has both data and a file"),
        (Golden(name="y", dtype="BYTES", shape=(1,), file="golden/y"), "is BYTES, which has to be in data"),
    ],
)
def test_many_numbers_may_lie_in_a_file_and_nothing_else(golden, reason):
    assert mistake(golden, golden.dtype) == reason


numbers = st.booleans() | st.integers(-(2**70), 2**70) | st.floats()


@given(st.lists(numbers, max_size=6), st.sampled_from(sorted(NUMBERS)))
def test_all_numbers_together_are_judged_as_each_alone(values, dtype):
    golden = sample(*values, dtype=dtype).golden[0]

    assert (mistake(golden, dtype) == "") is all(can_hold(dtype, value) for value in values)


def test_all_files_of_a_sample_move_together():
    """Those of its input, its inputs and its golden outputs; values in the document stay."""
    golden = (
        Golden(name="y", dtype="FP32", shape=(9,), file="golden/y"),
        Golden(name="z", dtype="FP32", shape=(1,), data=(1.0,)),
    )
    inputs = (SampleInput(name="a", shape=(1,), file="samples/a"), SampleInput(name="b", shape=(1,), data=(1.0,)))

    assert Sample(name="one", inputs=inputs, golden=golden).below("kit").files == ["kit/samples/a", "kit/golden/y"]
    assert Sample(name="one", input="one.png", golden=golden).below("kit").files == ["kit/one.png", "kit/golden/y"]
