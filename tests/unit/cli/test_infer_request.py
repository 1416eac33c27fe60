"""What edgectl writes around a file is what the daemon reads."""

import pytest

from edged.api.oip.body import Body as Received
from edged.api.oip.request import parse_request
from edged.api.oip.schemas import ModelMetadata, TensorMetadata
from edged.api.ports import ModelView
from edged.cli.infer_request import described_body, whole_body
from edged.errors import UsageError
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import RequestClass

FILE = b"\x00\x00\x80?\x00\x00\x00@"
"""Eight bytes; as FP32, 1 and 2."""


def metadata(*inputs):
    tensors = tuple(
        TensorMetadata(name=f"in{i}", datatype=dtype, shape=shape) for i, (dtype, shape) in enumerate(inputs)
    )
    return ModelMetadata(name="m", versions=("1.0.0",), platform="onnxruntime_onnx", inputs=tensors, outputs=())


def received(body, model):
    specs = [TensorSpec(name=item.name, dtype=item.datatype, shape=item.shape) for item in model.inputs]
    view = ModelView(
        name=ModelName("m"),
        version=Version.parse("1.0.0"),
        variant="m-1.0.0-fp32-any",
        platform=model.platform,
        inputs=specs,
        raw_inputs=specs,
        outputs=specs,
        is_ready=True,
    )
    length = int(body.headers["Inference-Header-Content-Length"])
    return parse_request(Received(content=memoryview(body.content)), length, view)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("BYTES", (1,)), ("BYTES", (-1, 1)), ("FP32", (2,)), ("FP32", (-1, 2)), ("UINT8", (1, -1))]
)
def test_a_file_is_the_same_tensor_with_parameters_and_without(dtype, shape):
    model = metadata((dtype, shape))

    (whole,) = received(whole_body(FILE), model).inputs
    (described,) = received(described_body(FILE, model, {"priority": 1}), model).inputs

    assert (described.name, described.dtype, described.shape) == (whole.name, whole.dtype, whole.shape)
    assert bytes(described.data) == bytes(whole.data)


def test_the_daemon_hears_the_parameters():
    model = metadata(("BYTES", (1,)))
    parameters = {"offload": True, "cache": False, "request_class": "background", "priority": 2, "timeout": 1_500_000}

    wishes = received(described_body(FILE, model, parameters), model).wishes

    assert (wishes.has_consent, wishes.may_cache, wishes.request_class) == (True, False, RequestClass.BACKGROUND)
    assert (wishes.priority, wishes.timeout_s) == (2, 1.5)


@pytest.mark.parametrize("inputs", [[], [("BYTES", (1,)), ("BYTES", (1,))]])
def test_a_model_that_takes_no_single_file_is_named(inputs):
    with pytest.raises(UsageError, match=f"Model m has {len(inputs)} inputs"):
        described_body(FILE, metadata(*inputs), {})


@pytest.mark.parametrize(("dtype", "shape"), [("FP32", (-1, 3)), ("FP32", (-1, -1)), ("FP32", (-1, 0))])
def test_a_file_that_is_no_such_tensor_is_refused_with_both_sizes(dtype, shape):
    with pytest.raises(UsageError, match="file of 8 bytes is no FP32 of shape"):
        described_body(FILE, metadata((dtype, shape)), {})
