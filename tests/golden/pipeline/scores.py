"""Golden cases of ``edged.pipeline.steps.scores``."""

import numpy as np

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.scores import Argmax, Labels, OneHot, Sigmoid, Softmax, Threshold, TopK
from tests.golden.pipeline.vectors import Tolerance, case

NAN, INF = np.nan, np.inf

TOLERANCES = {"softmax@1": Tolerance(relative=1e-6), "sigmoid@1": Tolerance(relative=1e-6, absolute=1e-37)}
"""Exponentials differ in their last bits between versions of numpy and between processors; the smallest have few bits."""

SOFTMAX = Softmax(input="scores", output="shares")
SIGMOID = Sigmoid(input="scores", output="shares")
ARGMAX = Argmax(input="scores", output="index")
TOP_K = TopK(input="scores", values="best", indices="index", k=3)
THRESHOLD = Threshold(input="scores", values="values", indices="indices", threshold=0.5, k=3)
LABELS = Labels(input="index", output="label", file="labels.txt")
ONE_HOT = OneHot(input="index", output="row", depth=4)


def floats(*values):
    return np.array(values, dtype=np.float32)


CASES = [
    case("one row", SOFTMAX, {"scores": floats([1, 0, 2])}),
    case("values whose exponentials would overflow", SOFTMAX, {"scores": floats(1000, 1001, -1000)}),
    case("rows without a softmax", SOFTMAX, {"scores": floats([NAN, 1], [INF, 1], [-INF, -INF], [-INF, 0])}),
    case("from one end to the other", SIGMOID, {"scores": floats([-100, -2, -0.0, 0], [1e-3, 2, 20, 100])}),
    case("what is not finite", SIGMOID, {"scores": floats(NAN, INF, -INF)}),
    case("no axis at all", SIGMOID, {"scores": np.float32(0.5).reshape(())}),
    case("equals, and NaN", ARGMAX, {"scores": floats([1, 3, 3], [NAN, -5, -7], [NAN, NAN, -INF])}),
    case(
        "the first axis of three",
        Argmax(input="scores", output="index", axis=0),
        {"scores": floats([[0, 1]], [[2, 0]], [[1, 1]])},
        types=(TensorSpec(name="scores", dtype="FP32", shape=(3, -1, 2)),),
    ),
    case("equals by index", TOP_K, {"scores": floats([1, 3, 3, 2, 3])}),
    case("NaN below everything", TOP_K, {"scores": floats(NAN, -INF, 1)}),
    case("one row of several labels", THRESHOLD, {"scores": floats([0.5, 0.25, 0.75, NAN, 0.5])}),
    case("more than there is room for", THRESHOLD, {"scores": floats(0.5, 0.75, 1, 0.75)}),
    case("none", THRESHOLD, {"scores": floats([0.25, 0])}),
    case(
        "lines that end either way", LABELS, {"index": np.array([[2, 0]])}, files={"labels.txt": b"cat\ndog\r\nowl\n"}
    ),
    case("an empty line", LABELS, {"index": np.array([1])}, files={"labels.txt": "über\n\n".encode()}),
    case("a matrix", ONE_HOT, {"index": np.array([[0, 3], [1, 1]], dtype=np.int64)}),
    case("of INT32, and empty", ONE_HOT, {"index": np.zeros((2, 0), dtype=np.int32)}),
]
