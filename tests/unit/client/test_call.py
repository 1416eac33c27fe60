"""What the client writes is what the server reads, and the other way round."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.api.oip.body import Body
from edged.api.oip.request import parse_request
from edged.api.ports import ModelView
from edged.client.call import DATATYPES, Call, from_data, read_body, to_array, to_data, write_body
from edged.errors import EdgedError, TensorError
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import RequestClass

numbers = st.sampled_from(sorted(DATATYPES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
texts = st.lists(st.binary(max_size=9), max_size=5)


def view_for(arrays):
    specs = [
        TensorSpec(
            name=name,
            dtype="BYTES" if array.dtype == object else DATATYPES[array.dtype.name],
            shape=(-1,) * array.ndim,
        )
        for name, array in arrays.items()
    ]
    return ModelView(
        name=ModelName("any"),
        version=Version.parse("1.0.0"),
        variant="any-1.0.0-fp32-any",
        platform="onnxruntime_onnx",
        inputs=specs,
        raw_inputs=specs,
        outputs=specs,
        is_ready=True,
    )


@given(array=numbers, words=texts)
def test_the_server_reads_what_the_client_writes(array, words):
    arrays = {"numbers": array, "words": to_array("words", words) if words else np.empty(0, dtype=object)}
    parts, length = write_body(Call(inputs=arrays, timeout_s=1.5, priority=3))

    request = parse_request(Body(content=memoryview(b"".join(parts))), length, view_for(arrays))

    assert (request.wishes.timeout_s, request.wishes.priority) == (1.5, 3)
    assert all(output.is_binary for output in request.outputs)
    for tensor in request.inputs:
        back = from_data(bytes(tensor.data), tensor.dtype, tensor.shape)
        assert back.shape == arrays[tensor.name].shape
        assert back.tolist() == arrays[tensor.name].tolist() or np.isnan(array.astype(np.float64)).any()


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ({}, {"may_cache": True, "has_consent": False, "request_class": RequestClass.INTERACTIVE}),
        ({"may_cache": False}, {"may_cache": False}),
        ({"may_offload": True}, {"has_consent": True}),
        ({"is_background": True}, {"request_class": RequestClass.BACKGROUND}),
    ],
)
def test_the_server_hears_what_a_call_allows(said, heard):
    arrays = {"x": np.zeros(1, np.float32)}
    parts, length = write_body(Call(inputs=arrays, **said))

    wishes = parse_request(Body(content=memoryview(b"".join(parts))), length, view_for(arrays)).wishes

    assert {name: getattr(wishes, name) for name in heard} == heard


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({}, (1.0, 1.0, False)),
        ({"decision": 'rule="cold", variant="m-1"'}, (1.0, 1.0, False)),
        ({"decision": 'rule="hot", variant="m-1", scale=0.25', "scale": 0.5, "cached": True}, (0.5, 0.25, True)),
        ({"decision": 'rule="scale", scale=0.125', "scale": 1.0}, (1.0, 0.125, False)),
    ],
)
def test_an_answer_tells_its_scale_and_whether_it_was_known(parameters, told):
    document = {"model_name": "m", "outputs": [], "parameters": parameters}

    result = read_body({}, json.dumps(document).encode())

    assert (result.scale, result.wanted_scale, result.is_cached) == told


@pytest.mark.parametrize(("parameters", "told"), [({}, False), ({"features_cached": True}, True)])
def test_an_answer_tells_whether_only_a_part_was_run_for_it(parameters, told):
    document = {"model_name": "m", "outputs": [], "parameters": parameters}

    assert read_body({}, json.dumps(document).encode()).had_features is told


@given(array=numbers)
def test_an_array_comes_back_as_it_was(array):
    back = from_data(bytes(to_data(array)), DATATYPES[array.dtype.name], array.shape)

    np.testing.assert_array_equal(back, array)


def test_an_array_that_lies_in_pieces_travels_in_order():
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]

    assert from_data(bytes(to_data(array)), "FP32", array.shape).tolist() == array.tolist()


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (b"a\x00", [b"a\x00"]),
        ("é", ["é".encode()]),
        ([b"", b"x\x00\x00"], [b"", b"x\x00\x00"]),
        (["a", b"b"], [b"a", b"b"]),
    ],
)
def test_text_and_bytes_become_elements_and_keep_every_byte(value, items):
    assert to_array("content", value).tolist() == items


@pytest.mark.parametrize("value", [[object()], [b"x", 3], np.array([1j]), np.array(["2020-01-01"], dtype="M8[D]")])
def test_what_has_no_datatype_is_refused_by_name(value):
    with pytest.raises(TensorError, match="content"):
        to_array("content", value)


def test_a_sequence_travels_as_parameters():
    parts, length = write_body(Call(inputs={}, sequence="mic", is_start=True))

    assert json.loads(parts[0][:length])["parameters"] == {
        "binary_data_output": True,
        "sequence_id": "mic",
        "sequence_start": True,
        "sequence_end": False,
    }


def test_an_answer_may_be_json_or_bytes_or_both():
    document = {
        "model_name": "m",
        "model_version": "1.0.0",
        "parameters": {"variant": "m-1"},
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "é"]},
            {"name": "half", "datatype": "FP16", "shape": [2], "parameters": {"binary_data_size": 4}},
            {"name": "count", "datatype": "INT64", "shape": [], "data": [7]},
        ],
    }
    text = json.dumps(document).encode()
    body = text + np.array([0.5, -1], dtype="<f2").tobytes()

    result = read_body({"inference-header-content-length": str(len(text))}, body)

    assert (result.model, result.version, result.variant) == ("m", "1.0.0", "m-1")
    assert result["label"].tolist() == [[b"a", "é".encode()]]
    assert result["half"].tolist() == [0.5, -1.0]
    assert (result["count"].shape, int(result["count"])) == ((), 7)


@given(st.binary(max_size=200))
def test_whatever_is_answered_gives_a_result_or_an_error(body):
    with pytest.raises(EdgedError):
        read_body({}, body)


@pytest.mark.parametrize("size", [0, 3, 5, 8])
def test_an_output_of_the_wrong_size_is_an_error(size):
    with pytest.raises(EdgedError, match="FP32"):
        from_data(b"x" * size, "FP32", [1])


def test_an_app_needs_nothing_but_numpy():
    """Whatever edged itself is built on stays out of the apps' processes."""
    code = "import sys, edged.client, edged.client.aio; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert not {"msgspec", "aiohttp", "onnxruntime", "cryptography", "tuf", "jsonschema", "sdnotify"} & set(loaded)
