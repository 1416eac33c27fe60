"""Tiny ONNX models, made on the spot; IR version 8 and opset 15, which every supported runtime loads.

Needs the ``onnx`` package (PyPI, or Debian's python3-onnx).
"""

import warnings
from collections.abc import Sequence

import numpy as np

with warnings.catch_warnings():
    # Debian 13's protobuf warns about itself when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import onnx
    from onnx import TensorProto, helper, numpy_helper

FLOAT, INT32, INT64, STRING = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.STRING


def build(nodes, inputs, outputs, *, initializers=(), functions=(), opsets=()) -> onnx.ModelProto:
    """Return a model; ``inputs`` and ``outputs`` are (name, element type, shape)."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(*item) for item in inputs],
        [helper.make_tensor_value_info(*item) for item in outputs],
        initializer=list(initializers),
    )
    imports = [helper.make_opsetid("", 15), *(helper.make_opsetid(domain, 1) for domain in opsets)]
    return helper.make_model(graph, ir_version=8, opset_imports=imports, functions=list(functions))


def constant(name: str, values, dtype=np.float32) -> TensorProto:
    """Return an initializer."""
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def add_model(amount: float = 1.0) -> bytes:
    """``y = x + amount``; FP32 [-1, 4]."""
    node = helper.make_node("Add", ["x", "amount"], ["y"], name="add")
    shape = ["n", 4]
    return build(
        [node], [("x", FLOAT, shape)], [("y", FLOAT, shape)], initializers=[constant("amount", amount)]
    ).SerializeToString()


def identity_model(dtype: int = FLOAT, shape: Sequence[int | str] = ("n",)) -> bytes:
    """``y = x`` for any element type and shape."""
    node = helper.make_node("Identity", ["x"], ["y"], name="same")
    return build([node], [("x", dtype, list(shape))], [("y", dtype, list(shape))]).SerializeToString()


def classifier_model(classes: int = 3, window: int = 8) -> bytes:
    """Scores for the window of a file: class ``i`` counts the bytes equal to ``i``; ``bytes`` INT32 [-1, window] to ``scores``."""
    nodes = [
        helper.make_node("Unsqueeze", ["bytes", "axis"], ["wide"]),
        helper.make_node("Equal", ["wide", "classes"], ["hits"]),
        helper.make_node("Cast", ["hits"], ["ones"], to=FLOAT),
        helper.make_node("ReduceSum", ["ones", "rows"], ["scores"], keepdims=0),
    ]
    initializers = [
        constant("axis", [2], np.int64),
        constant("rows", [1], np.int64),
        constant("classes", np.arange(classes).reshape(1, 1, classes), np.int32),
    ]
    inputs, outputs = [("bytes", INT32, ["n", window])], [("scores", FLOAT, ["n", classes])]
    return build(nodes, inputs, outputs, initializers=initializers).SerializeToString()


def loop_model() -> bytes:
    """``y = x`` after counting to ``times`` (INT64, 1 element) in a Loop: runs as long as one asks it to."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["still_going"]),
            helper.make_node("Add", ["carried", "zero"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("still_going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, None),
        ],
        initializer=[constant("zero", 0.0)],
    )
    nodes = [
        helper.make_node("Squeeze", ["times"], ["count"]),
        helper.make_node("Loop", ["count", "", "x"], ["y"], body=body),
    ]
    return build(nodes, [("x", FLOAT, [1]), ("times", INT64, [1])], [("y", FLOAT, [1])]).SerializeToString()


def stubborn_model() -> bytes:
    """``y`` (INT64 [1]) is ``count`` (INT64 [1]) after comparing so many boxes with each other in one node, where nothing stops it."""
    nodes = [
        helper.make_node("Concat", ["one", "count", "four"], ["boxes_shape"], axis=0),
        helper.make_node("Concat", ["one", "one", "count"], ["scores_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["boxes_shape"], ["boxes"]),
        helper.make_node("ConstantOfShape", ["scores_shape"], ["scores"]),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "count"], ["kept"]),
        helper.make_node("Shape", ["kept"], ["kept_shape"]),
        helper.make_node("Gather", ["kept_shape", "first"], ["y"]),
    ]
    initializers = [constant("one", [1], np.int64), constant("four", [4], np.int64), constant("first", [0], np.int64)]
    return build(nodes, [("count", INT64, [1])], [("y", INT64, [1])], initializers=initializers).SerializeToString()


def allocating_model() -> bytes:
    """``y`` is as many zeros as ``count`` (INT64 [1]) says, so memory follows the request."""
    node = helper.make_node("ConstantOfShape", ["count"], ["y"])
    return build([node], [("count", INT64, [1])], [("y", FLOAT, ["n"])]).SerializeToString()


def weighty_model(size_bytes: int) -> bytes:
    """A model whose weights take ``size_bytes``."""
    weights = constant("weights", np.zeros(size_bytes // 4))
    nodes = [
        helper.make_node("ReduceSum", ["weights"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    return build(nodes, [("x", FLOAT, ["n"])], [("y", FLOAT, ["n"])], initializers=[weights]).SerializeToString()


def external_tensor(name: str = "amount", location: str = "../../etc/hostname") -> TensorProto:
    """Return a tensor whose bytes are another file's."""
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def external_data_model() -> bytes:
    """``y = x + amount`` where ``amount`` would be read from another file."""
    node = helper.make_node("Add", ["x", "amount"], ["y"])
    return build(
        [node], [("x", FLOAT, ["n"])], [("y", FLOAT, ["n"])], initializers=[external_tensor()]
    ).SerializeToString()


def reshaping_model() -> bytes:
    """``y`` is ``x`` as FP32 [2, 4]; any other number of elements makes the runtime fail."""
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    shape = constant("shape", [2, 4], np.int64)
    return build([node], [("x", FLOAT, ["n", 4])], [("y", FLOAT, [2, 4])], initializers=[shape]).SerializeToString()
