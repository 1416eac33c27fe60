"""The network as an ONNX model, built by hand from its weights, so that the same weights give the same bytes.

It takes ``image``, normalized greys of shape [-1, 1, 128, 128], and gives ``angle``, degrees in [0, 360), and ``confidence`` in [0, 1],
both [-1, 1]. Batch normalization is folded into the convolutions. ONNX has no arctangent of two arguments: the nodes below ``angle/``
take that of the smaller part over the larger one, which is between 0 and 45 degrees and exact in any precision, and unfold it by octant.

torch is not needed here. The versions of operators and format are those that ONNX Runtime 1.21 and onnx 1.17 read.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from models.gauge.drawing import SIZE

OPSET: Final = 17
IR_VERSION: Final = 8
NORM_EPSILON: Final = 1e-5
"""What torch adds to a variance."""
LEAST_LENGTH: Final = 1e-4
"""Keeps an answer of exactly nothing from being divided by; large enough for half precision."""

Weights = Mapping[str, npt.NDArray[np.float32]]


def build_model(weights: Weights, strides: Sequence[int]) -> ModelProto:
    """Build the model.

    Args:
        weights: The network's, by the names that torch gives them.
        strides: Of the convolutions, in order.
    """
    graph = _Graph()
    last = "image"
    for number, stride in enumerate(strides):
        kernel, bias = _folded(weights, number)
        border = kernel.shape[2] // 2
        names = [last, graph.constant(f"conv{number}/weight", kernel), graph.constant(f"conv{number}/bias", bias)]
        last = graph.node(
            "Conv",
            names,
            f"conv{number}",
            strides=[stride, stride],
            pads=[border] * 4,
            kernel_shape=list(kernel.shape[2:]),
        )
        last = graph.node("Relu", [last], f"relu{number}")
    last = graph.node("Flatten", [last], "flatten", axis=1)
    last = graph.dense(last, "dense0", weights["head.1.weight"], weights["head.1.bias"])
    last = graph.node("Relu", [last], "relu_dense0")
    last = graph.dense(last, "dense1", weights["head.3.weight"], weights["head.3.bias"])
    graph.reading(last)
    return graph.model()


def _folded(weights: Weights, number: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a convolution's kernel and bias with the normalization behind it worked in."""
    norm = f"features.{3 * number + 1}"
    variance = weights[f"{norm}.running_var"].astype(np.float64)
    factor = weights[f"{norm}.weight"] / np.sqrt(variance + NORM_EPSILON)
    kernel = weights[f"features.{3 * number}.weight"] * factor[:, None, None, None]
    bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * factor
    return kernel.astype(np.float32), bias.astype(np.float32)


class _Graph:
    """Nodes and constants as they come; each node has one output of its own name."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def constant(self, name: str, value: npt.ArrayLike) -> str:
        self._constants.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def dense(self, last: str, name: str, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        names = [last, self.constant(f"{name}/weight", weight), self.constant(f"{name}/bias", bias)]
        return self.node("Gemm", names, name, transB=1)

    def reading(self, point: str) -> None:
        """Turn sine and cosine into ``angle`` and ``confidence``."""
        self._nodes.append(helper.make_node("Split", [point], ["sine", "cosine"], name="angle/parts", axis=1))
        zero, one = self.constant("angle/zero", 0), self.constant("angle/one", 1)
        squares = [self.node("Mul", [part, part], f"angle/{part}_square") for part in ("sine", "cosine")]
        length = self.node("Sqrt", [self.node("Add", squares, "angle/square")], "angle/length")
        self.node("Min", [length, one], "confidence")

        sizes = [self.node("Abs", [part], f"angle/{part}_size") for part in ("sine", "cosine")]
        larger = self.node("Max", [*sizes, self.constant("angle/least", LEAST_LENGTH)], "angle/larger")
        slope = self.node("Div", [self.node("Min", sizes, "angle/smaller"), larger], "angle/slope")
        radians = self.node("Atan", [slope], "angle/radians")
        angle = self.node("Mul", [radians, self.constant("angle/degrees", 180 / math.pi)], "angle/octant")
        for name, operator, pair, turn in (
            ("is_steep", "Greater", sizes, 90),
            ("is_below", "Less", ["cosine", zero], 180),
            ("is_left", "Less", ["sine", zero], 360),
        ):
            condition = self.node(operator, pair, f"angle/{name}")
            other = self.node("Sub", [self.constant(f"angle/{turn}", turn), angle], f"angle/{turn}_less")
            angle = self.node("Where", [condition, other, angle], f"angle/to_{turn}")
        # A hair left of up is 360 once it is rounded, which is up.
        is_whole = self.node("GreaterOrEqual", [angle, "angle/360"], "angle/is_whole")
        self.node("Where", [is_whole, zero, angle], "angle")

    def model(self) -> ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "gauge",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, SIZE, SIZE])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1]) for name in ("angle", "confidence")],
            self._constants,
            doc_string="Finds the angle of a round gauge's needle: degrees, 0 is up, clockwise.",
        )
        return helper.make_model(
            graph,
            producer_name="edged models.gauge",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
