import os

import pytest

from edged.errors import BundleError, ModelLoadError
from edged.publish.formats.onnx import read_tensors
from tests.fakes.bundles import TensorProto, adder_model, helper


def identity(dtype, shape):
    node = helper.make_node("Identity", ["x"], ["y"])
    tensors = [helper.make_tensor_value_info(name, dtype, shape) for name in ("x", "y")]
    graph = helper.make_graph([node], "identity", tensors[:1], tensors[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        ("FLOAT", "FP32"),
        ("FLOAT16", "FP16"),
        ("INT64", "INT64"),
        ("UINT8", "UINT8"),
        ("BOOL", "BOOL"),
        ("STRING", "BYTES"),
    ],
)
def test_datatypes_have_the_protocols_names(dtype, name):
    inputs, outputs = read_tensors(identity(getattr(TensorProto, dtype), [2]))

    assert (inputs[0].dtype, outputs[0].dtype) == (name, name)


@pytest.mark.parametrize(("shape", "found"), [([1, 3], (1, 3)), (["n", 4], (-1, 4)), ([None, 4], (-1, 4)), ([], ())])
def test_free_axes_are_minus_one(shape, found):
    inputs, _ = read_tensors(identity(TensorProto.FLOAT, shape))

    assert inputs[0].shape == found


def test_what_apps_cannot_send_is_refused():
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    result = helper.make_tensor_value_info("y", TensorProto.INT64, [])
    graph = helper.make_graph([helper.make_node("SequenceLength", ["s"], ["y"])], "g", [sequence], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()

    with pytest.raises(BundleError, match=r"tensor 's' has type seq\(tensor\(float\)\)"):
        read_tensors(model)


@pytest.mark.parametrize("data", [b"", b"hello", adder_model()[:50]])
def test_what_is_no_model_cannot_be_loaded(data):
    with pytest.raises(ModelLoadError, match="cannot load"):
        read_tensors(data)


def test_the_runtimes_own_chatter_stays_off_standard_error(capfd):
    with pytest.raises(ModelLoadError):
        read_tensors(b"hello")
    os.write(2, b"after")

    assert capfd.readouterr().err == "after"
