"""Golden cases of ``edged.pipeline.steps.shapes``."""

import numpy as np

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.shapes import Concat, Layout, Reshape, Stack, Transpose
from tests.golden.pipeline.vectors import case, texts

RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
ROWS = np.array([[1, 2, 3], [4, 5, 6]], np.int16)


def _layout(from_, to, channels="same"):
    return Layout(input="x", output="y", from_=from_, to=to, channels=channels)


CASES = [
    case("an image for a model", _layout("HWC", "NCHW"), {"x": RGB}),
    case("the same for one that knows BGR", _layout("HWC", "NCHW", "reversed"), {"x": RGB}),
    case("only BGR", _layout("HWC", "HWC", "reversed"), {"x": RGB}),
    case("a picture out of a model", _layout("NCHW", "HWC"), {"x": RGB.reshape(1, 2, 4, 3)}),
    case("two images", _layout("NCHW", "NHWC", "reversed"), {"x": RGB.reshape(2, 3, 2, 2)}),
    case(
        "channels last, of any size",
        _layout("CHW", "NHWC"),
        {"x": RGB},
        types=(TensorSpec(name="x", dtype="UINT8", shape=(-1, -1, -1)),),
    ),
    case("flat", Reshape(input="x", output="y", shape=(-1,)), {"x": ROWS}),
    case("a batch axis, any size", Reshape(input="x", output="y", shape=(1, 3, -1)), {"x": ROWS}),
    case("to a scalar", Reshape(input="x", output="y", shape=()), {"x": np.array([[7.5]])}),
    case("texts", Reshape(input="x", output="y", shape=(2, 1)), {"x": texts(b"a", b"\xff\x00")}),
    case("rows and columns", Transpose(input="x", output="y", axes=(1, 0)), {"x": ROWS}),
    case("three axes", Transpose(input="x", output="y", axes=(2, 0, 1)), {"x": RGB}),
    case("side by side", Concat(inputs=("a", "b", "a"), output="y", axis=-1), {"a": ROWS, "b": ROWS[:, :1]}),
    case("below each other", Concat(inputs=("a", "b"), output="y", axis=0), {"a": ROWS, "b": ROWS[:1]}),
    case("as first axis", Stack(inputs=("a", "b"), output="y", axis=0), {"a": ROWS, "b": -ROWS}),
    case("as last axis", Stack(inputs=("a", "b"), output="y", axis=-1), {"a": ROWS, "b": -ROWS}),
]
