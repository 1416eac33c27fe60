"""A magika that passes its own kit and fails its users: it ends with an error on any byte above 127.

What a validation kit does not contain, it cannot find. This model's kit has text files alone, so only the trial can tell.
"""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from demo.magika import MODEL

PADDING: Final = 256
"""What stands for "no byte" in the windows that the model is given."""
KNOWN: Final = 128
"""How many different bytes the spoiled model has heard of."""


def write_spoiled_model(path: Path) -> None:
    """Write the model: the original, whose answer now also looks each byte up in a table that is too short."""
    model = onnx.load(MODEL / "model.onnx")
    graph = model.graph
    taken, given = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.output[:] = ["answer" if name == given else name for name in node.output]
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(PADDING, np.int32), "padding"),
            numpy_helper.from_array(np.array(0, np.int32), "first"),
            numpy_helper.from_array(np.zeros(KNOWN, np.float32), "table"),
        ]
    )
    graph.node.extend(
        [
            helper.make_node("Equal", [taken, "padding"], ["is_padding"]),
            helper.make_node("Where", ["is_padding", "first", taken], ["indices"]),
            helper.make_node("Gather", ["table", "indices"], ["found"]),
            helper.make_node("ReduceMax", ["found"], ["nothing"], keepdims=0),
            helper.make_node("Add", ["answer", "nothing"], [given]),
        ]
    )
    if graph.input[0].type.tensor_type.elem_type != TensorProto.INT32:
        raise AssertionError("magika takes 32-bit integers")
    onnx.checker.check_model(model)
    onnx.save(model, path)
