"""What is remembered of requests changes nothing about how they are read."""

import json

import numpy as np
import pytest

from edged.api.oip.body import Body
from edged.api.oip.request import RequestReader, parse_request
from edged.api.ports import ModelView
from edged.errors import RequestError, TensorError
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec


def view(*specs, version="1.0.0"):
    return ModelView(
        name=ModelName("m"),
        version=Version.parse(version),
        variant=f"m-{version}-fp32-any",
        platform="onnxruntime_onnx",
        inputs=specs,
        raw_inputs=specs,
        outputs=[TensorSpec(name="y", dtype="FP32", shape=(-1,))],
        is_ready=True,
    )


X = TensorSpec(name="x", dtype="FP32", shape=(-1,))
FLAG = TensorSpec(name="flag", dtype="BOOL", shape=(-1,))
WORD = TensorSpec(name="word", dtype="BYTES", shape=(1,))


def body_of(parts, **members):
    """A request with these tensors as bytes; each is a name, a datatype, a shape and its bytes."""
    inputs = [
        {"name": name, "datatype": dtype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
        for name, dtype, shape, data in parts
    ]
    text = json.dumps({"inputs": inputs, **members}).encode()
    return text + b"".join(data for *_, data in parts), len(text)


def floats(*values):
    return ("x", "FP32", [len(values)], np.array(values, dtype="<f4").tobytes())


def read_both(reader, content, length, model):
    """Read with what is remembered and without; both have to agree."""
    body = Body(content=memoryview(content))
    remembered, plain = reader.read(body, length, model), parse_request(body, length, model)
    assert [bytes(t.data) for t in remembered.inputs] == [bytes(t.data) for t in plain.inputs]
    assert [(t.name, t.dtype, t.shape, t.at) for t in remembered.inputs] == [
        (t.name, t.dtype, t.shape, t.at) for t in plain.inputs
    ]
    assert (remembered.outputs, remembered.wishes, remembered.id) == (plain.outputs, plain.wishes, plain.id)
    return remembered


def test_the_same_json_before_other_bytes_reads_the_other_bytes():
    reader, model = RequestReader(), view(X)
    for values in ((1, 2), (3, 4), (5, 6)):
        content, length = body_of([floats(*values)], parameters={"binary_data_output": True, "timeout": 5000})
        request = read_both(reader, content, length, model)
        assert np.frombuffer(request.inputs[0].data, "<f4").tolist() == list(values)


def test_the_place_in_shared_memory_is_that_of_each_request():
    reader, model = RequestReader(), view(X)
    content, length = body_of([floats(1, 2)])
    memory = memoryview(bytearray(4096))
    for offset in (0, 64, 128):
        memory[offset : offset + len(content)] = content
        body = Body(content=memory[offset : offset + len(content)], memory=memory, offset=offset)
        (tensor,) = reader.read(body, length, model).inputs
        assert tensor.at == offset + length


def test_a_model_that_was_replaced_is_asked_anew():
    """The same JSON may be wrong for the next version."""
    reader = RequestReader()
    content, length = body_of([floats(1, 2)])
    read_both(reader, content, length, view(X))

    with pytest.raises(TensorError, match="shape"):
        reader.read(
            Body(content=memoryview(content)),
            length,
            view(TensorSpec(name="x", dtype="FP32", shape=(3,)), version="2.0.0"),
        )


@pytest.mark.parametrize("change", [b"", b"\0"])
def test_bytes_too_few_or_too_many_are_found_behind_remembered_json_too(change):
    reader, model = RequestReader(), view(X)
    content, length = body_of([floats(1, 2)])
    read_both(reader, content, length, model)
    other = content + change if change else content[:-1]

    with pytest.raises(RequestError):
        reader.read(Body(content=memoryview(other)), length, model)


def test_what_depends_on_the_bytes_is_checked_each_time():
    reader, model = RequestReader(), view(FLAG, WORD)
    good = [("flag", "BOOL", [2], b"\0\1"), ("word", "BYTES", [1], b"\2\0\0\0ab")]
    read_both(reader, *body_of(good), model)

    for bad in (
        [("flag", "BOOL", [2], b"\0\2"), good[1]],
        [good[0], ("word", "BYTES", [1], b"\3\0\0\0ab")],
    ):
        content, length = body_of(bad)
        with pytest.raises(TensorError):
            reader.read(Body(content=memoryview(content)), length, model)


def test_data_within_the_json_is_read_with_it():
    reader, model = RequestReader(), view(X, TensorSpec(name="gain", dtype="FP32", shape=(1,)))
    for gain in (1.0, 2.0):
        name, dtype, shape, data = floats(7, 8)
        inputs = [
            {"name": "gain", "datatype": "FP32", "shape": [1], "data": [gain]},
            {"name": name, "datatype": dtype, "shape": shape, "parameters": {"binary_data_size": len(data)}},
        ]
        text = json.dumps({"inputs": inputs}).encode()
        for _ in range(2):
            request = read_both(reader, text + data, len(text), model)
            assert np.frombuffer(request.inputs[0].data, "<f4").tolist() == [gain]


def test_an_identifier_comes_back_with_its_own_request():
    reader, model = RequestReader(), view(X)
    for identifier in ("a", "b", "a"):
        content, length = body_of([floats(1)], id=identifier)
        assert read_both(reader, content, length, model).id == identifier


def test_many_different_requests_are_not_all_remembered():
    reader, model = RequestReader(), view(X)
    for timeout in range(1, 500):
        content, length = body_of([floats(1)], parameters={"timeout": timeout})
        assert read_both(reader, content, length, model).wishes.timeout_s == timeout / 1e6

    assert len(reader._plans) <= 64
