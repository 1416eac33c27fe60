"""The codec of the Open Inference Protocol: what it takes, what it gives, and that nothing but a RequestError comes of bad bytes."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.api.oip import request as oip
from edged.api.oip.body import Body
from edged.api.oip.data import MAX_JSON_DATA_BYTES, PART_BYTES, data_from_json, data_to_json
from edged.api.oip.parameters import Wishes
from edged.api.oip.request import HEADER_LENGTH, ParsedRequest, parse_header_length, parse_request
from edged.api.oip.response import build_response
from edged.api.ports import Answer, ModelView, Taken
from edged.errors import BodyTooLargeError, RequestError, TensorError
from edged.ids import ModelName, Version
from edged.pipeline.datatypes import MAX_BYTES_ELEMENTS, NUMBERS, pack_bytes, size_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import SequenceStep
from edged.runtime.tensors import InferResult, Tensor
from edged.worker.arrays import NUMPY

FREE = (-1, -1)


def view_of(*inputs: TensorSpec, raw=None, outputs=(), **more) -> ModelView:
    return ModelView(
        name=ModelName("m"),
        version=Version(1, 0, 0),
        variant="m-1.0.0-fp32-amd64",
        platform="onnxruntime_onnx",
        inputs=inputs,
        raw_inputs=inputs if raw is None else raw,
        outputs=outputs or (TensorSpec(name="y", dtype="FP32", shape=(-1,)),),
        is_ready=True,
        **more,
    )


def parse(body: bytes | bytearray, length: int | None, view: ModelView) -> ParsedRequest:
    """Parse a body that lies in the daemon's own memory."""
    return parse_request(Body(content=memoryview(body)), length, view)


def spec(name="x", dtype="FP32", shape=(-1,)) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def body_of(*inputs, **members) -> bytes:
    return json.dumps({"inputs": list(inputs), **members}).encode()


def arrays(dtype):
    """Arrays of a datatype, of rank 2, with finite values."""
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=4)
    if dtype == "BYTES":
        return hnp.arrays("O", shapes, elements=st.text(max_size=5))
    options = {"allow_nan": False, "allow_infinity": False} if dtype.startswith("FP") else {}
    return hnp.arrays(NUMPY[dtype], shapes, elements=options or None)


def bytes_of(array) -> bytes:
    if array.dtype == object:
        return pack_bytes([text.encode() for text in array.ravel().tolist()])
    return array.tobytes()


@pytest.mark.parametrize("dtype", [*NUMBERS, "BYTES"])
@given(data=st.data())
def test_json_and_binary_say_the_same(dtype, data):
    """The same values give the same tensor, flat, nested or as bytes; and JSON made of it gives it again."""
    array = data.draw(arrays(dtype))
    view = view_of(spec(dtype=dtype, shape=FREE))
    item = {"name": "x", "datatype": dtype, "shape": list(array.shape)}
    raw = bytes_of(array)
    text = body_of({**item, "parameters": {"binary_data_size": len(raw)}})

    nested = parse(body_of({**item, "data": array.tolist()}), None, view).inputs[0]
    flat = parse(body_of({**item, "data": array.ravel().tolist()}), None, view).inputs[0]
    binary = parse(text + raw, len(text), view).inputs[0]
    again = data_from_json(msgspec.Raw(msgspec.json.encode(data_to_json(raw, dtype, "x"))), dtype, array.shape, "")

    assert bytes(nested.data) == bytes(flat.data) == bytes(binary.data) == raw == again
    assert nested.shape == binary.shape == array.shape


HOSTILE_VIEW = view_of(spec(), spec("b", "BYTES", (-1,)), spec("t", "BOOL", (2,)), raw=(spec("r", "FP16", FREE),))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["FP32", "BYTES", "x", "b", "r"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "binary_data_size", "id", "?"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)
MEMBERS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "b", "t", "r", "?"]),
        "shape": st.lists(st.integers(-1, 5), max_size=3),
        "datatype": st.sampled_from([*NUMBERS, "BYTES", "?"]),
    },
    optional={
        "data": JSON_VALUES,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "a"]), st.integers(-1, 30) | JSON_VALUES),
    },
)


@given(
    value=JSON_VALUES
    | st.fixed_dictionaries({"inputs": st.lists(MEMBERS, max_size=4)}, optional={"outputs": JSON_VALUES}),
    rest=st.binary(max_size=40),
    view=st.sampled_from([HOSTILE_VIEW, view_of(spec()), view_of(spec("b", "BYTES", FREE))]),
)
def test_hostile_requests_give_a_request_error_or_tensors_of_the_right_size(value, rest, view):
    text = json.dumps(value).encode()
    try:
        request = parse(text + rest, len(text), view)
    except RequestError:
        return
    for tensor in request.inputs:
        if tensor.dtype != "BYTES":
            assert len(tensor.data) == size_bytes(tensor.dtype, tensor.shape)


@given(body=st.binary(max_size=80), length=st.none() | st.integers(0, 80))
@example(
    body=b'{"inputs":[{"name":"b","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":3}}]}abc', length=92
)
@example(body=b"\xef\xbb\xbf{}", length=None)
def test_hostile_bytes_give_a_request_error(body, length):
    try:
        parse(body, length, HOSTILE_VIEW)
    except RequestError:
        return


@given(
    data=st.binary(max_size=40),
    dtype=st.sampled_from([*NUMBERS, "BYTES"]),
    shape=st.sampled_from([(1,), (-1,), (2, -1), FREE, (0, -1)]),
)
def test_a_bare_body_is_one_tensor_or_a_request_error(data, dtype, shape):
    try:
        tensor = parse(data, 0, view_of(spec(dtype=dtype, shape=shape))).inputs[0]
    except RequestError:
        return
    assert len(tensor.shape) == len(shape)
    assert bytes(tensor.data) == (pack_bytes([data]) if dtype == "BYTES" else data)


def test_a_bare_body_of_bytes_is_one_element_without_a_length_before_it():
    tensor = parse(b"\x05\x00\x00\x00ab", 0, view_of(spec(dtype="BYTES", shape=(1,)))).inputs[0]

    assert (tensor.shape, bytes(tensor.data)) == ((1,), b"\x06\x00\x00\x00\x05\x00\x00\x00ab")


def test_the_size_of_a_bare_body_decides_the_free_axis():
    tensor = parse(bytes(24), 0, view_of(spec(dtype="FP32", shape=(1, -1, 2)))).inputs[0]

    assert tensor.shape == (1, 3, 2)


@pytest.mark.parametrize(("size", "shape"), [(23, (1, -1, 2)), (8, FREE), (8, (3,)), (0, (0, -1))])
def test_a_bare_body_that_decides_nothing_is_refused(size, shape):
    with pytest.raises(TensorError):
        parse(bytes(size), 0, view_of(spec(dtype="FP32", shape=shape)))


def test_binary_tensors_are_views_of_the_body():
    """Large tensors are not copied on their way in."""
    text = body_of({"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}})
    body = bytearray(text + bytes(8))
    tensor = parse(body, len(text), view_of(spec())).inputs[0]
    body[-1] = 1

    assert bytes(tensor.data)[-1] == 1


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("UINT8", [256]),
        ("INT8", [-129]),
        ("UINT64", [2**64]),
        ("UINT64", [-1]),
        ("INT64", [2**63]),
        ("FP16", [70000]),
        ("FP32", [1e39]),
    ],
)
def test_numbers_out_of_range_are_refused(dtype, data):
    with pytest.raises(TensorError) as caught:
        parse(body_of({"name": "x", "datatype": dtype, "shape": [1], "data": data}), None, view_of(spec(dtype=dtype)))

    assert caught.value.pointer.startswith("/inputs/0/data")


@pytest.mark.parametrize(("dtype", "element"), [("FP32", 1e39), ("UINT64", 2**64)])
def test_a_number_out_of_range_is_pointed_at(dtype, element):
    item = {"name": "x", "datatype": dtype, "shape": [2, 3]}
    for data, where in (([[0, 0, 0], [0, element, 0]], "1/1"), ([0, 0, 0, 0, element, 0], "4")):
        with pytest.raises(TensorError, match=f"An element is out of range for {dtype}") as caught:
            parse(body_of({**item, "data": data}), None, view_of(spec(dtype=dtype, shape=FREE)))
        assert caught.value.pointer == f"/inputs/0/data/{where}"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([[1, 2], [3]], "not all of one length"),
        ([[1], [2]], r"has shape \[2, 1\], not that of \[2, 2\]"),
        ([[], []], r"has shape \[2, 0\]"),
        ([1, 2, 3], r"has shape \[3\]"),
    ],
)
def test_data_that_do_not_fill_the_shape_are_refused(data, match):
    item = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": data}
    with pytest.raises(TensorError, match=match):
        parse(body_of(item), None, view_of(spec(shape=FREE)))


def test_a_byte_of_bool_is_0_or_1():
    """Wherever in the tensor it is, which is looked at part by part."""
    size = 3 * PART_BYTES
    text = body_of({"name": "x", "datatype": "BOOL", "shape": [size], "parameters": {"binary_data_size": size}})
    for place in (0, PART_BYTES, size - 1):
        data = bytearray(b"\x01" * size)
        parse(text + data, len(text), view_of(spec(dtype="BOOL")))
        data[place] = 2
        with pytest.raises(TensorError, match="0 or 1"):
            parse(text + data, len(text), view_of(spec(dtype="BOOL")))


@pytest.mark.parametrize("rest", [b"\x05\x00\x00\x00abc", b"\x01\x00", b"\x01\x00\x00\x00a\x00\x00\x00\x00", b""])
def test_bytes_elements_that_do_not_add_up_are_refused(rest):
    text = body_of({"name": "x", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(rest)}})
    with pytest.raises(TensorError):
        parse(text + rest, len(text), view_of(spec(dtype="BYTES")))


def test_bytes_tensors_have_a_limit_of_elements():
    count = MAX_BYTES_ELEMENTS + 1
    item = {"name": "x", "datatype": "BYTES", "shape": [count]}
    with pytest.raises(TensorError, match="at most"):
        parse(body_of({**item, "data": []}), None, view_of(spec(dtype="BYTES")))


def test_json_has_a_limit_of_its_own(monkeypatch):
    monkeypatch.setattr(oip, "MAX_JSON_BYTES", 10)
    with pytest.raises(BodyTooLargeError):
        parse(b" " * 11, None, view_of(spec()))


def test_an_app_may_send_the_models_own_inputs_even_under_the_same_name():
    """The datatype tells which of the two is meant."""
    view = view_of(spec("x", "BYTES", (1,)), raw=(spec("x", "INT32", (1, 2)),))
    item = {"name": "x", "datatype": "INT32", "shape": [1, 2], "data": [1, 2]}

    assert parse(body_of(item), None, view).inputs[0].dtype == "INT32"


def test_parameters_nobody_here_knows_are_ignored():
    item = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1], "parameters": {"colour": "red"}}
    request = parse(body_of(item, parameters={"headers": True, "triton_x": 1}), None, view_of(spec()))

    assert request.wishes == Wishes()


def test_each_output_chooses_its_form():
    outputs = (TensorSpec(name="y", dtype="FP32", shape=(2,)), TensorSpec(name="z", dtype="BYTES", shape=(1,)))
    view = view_of(spec(), outputs=outputs)
    item = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
    wanted = [{"name": "z", "parameters": {"binary_data": False}}, {"name": "y"}]
    request = parse(body_of(item, outputs=wanted, parameters={"binary_data_output": True}), None, view)
    result = InferResult(
        outputs=[
            Tensor(name="y", dtype="FP32", shape=(2,), data=bytes(8)),
            Tensor(name="z", dtype="BYTES", shape=(1,), data=pack_bytes([b"a"])),
        ],
        run_s=0.0,
    )

    parts, length = build_response(request, Answer(result=result, taken=Taken(model=view)))
    head = json.loads(parts[0])

    assert length == len(parts[0])
    assert bytes(parts[1]) == bytes(8)
    assert head["outputs"] == [
        {"name": "z", "datatype": "BYTES", "shape": [1], "data": ["a"]},
        {"name": "y", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
    ]


@pytest.mark.parametrize(("had_features", "said"), [(True, {"features_cached": True}), (False, {})])
def test_an_answer_says_when_only_a_part_was_run_for_it(had_features, said):
    outputs = (TensorSpec(name="y", dtype="UINT8", shape=(1,)),)
    view = view_of(spec(), outputs=outputs)
    request = parse(body_of({"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}), None, view)
    result = InferResult(
        outputs=[Tensor(name="y", dtype="UINT8", shape=(1,), data=b"7")], run_s=0.0, had_features=had_features
    )

    parts, _ = build_response(request, Answer(result=result, taken=Taken(model=view)))

    assert json.loads(parts[0])["parameters"] == {"variant": view.variant, **said}


def test_bytes_that_are_not_utf8_are_not_given_as_json():
    with pytest.raises(RequestError, match="UTF-8") as caught:
        data_to_json(pack_bytes([b"\xff"]), "BYTES", "y")

    assert "binary_data" in caught.value.hint


def test_a_large_output_is_not_given_as_json():
    """It would take ten times its size in the daemon, whoever asks."""
    with pytest.raises(RequestError, match="bytes, and at most") as caught:
        data_to_json(memoryview(bytes(MAX_JSON_DATA_BYTES + 1)), "UINT8", "y")

    assert "binary_data" in caught.value.hint


@pytest.mark.parametrize("text", [b"", b"-1", b"1.0", b"0x1", b" 1", b"\xb2", b"11", b"9" * 5000])
def test_a_header_length_is_a_number_of_bytes_of_the_body(text):
    with pytest.raises(RequestError, match=HEADER_LENGTH):
        parse_header_length(text, 10)


def test_a_header_length_may_be_absent_or_zero_or_all():
    assert [parse_header_length(text, 10) for text in (None, b"0", b"10")] == [None, 0, 10]


def test_json_that_is_not_utf8_is_the_callers_mistake():
    with pytest.raises(TensorError, match="not UTF-8"):
        data_from_json(msgspec.Raw(b'["\xff"]'), "BYTES", (1,), "/inputs/0/data")


SILERO = view_of(
    spec("input", shape=(1, -1)),
    spec("state", shape=(2, 1, -1)),
    outputs=(TensorSpec(name="output", dtype="FP32", shape=(1, 1)),),
    state_inputs=frozenset({"state"}),
)
SOUND = {"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [0, 1]}
STATE = {"name": "state", "datatype": "FP32", "shape": [2, 1, 1], "data": [0, 0]}


def test_within_a_sequence_states_are_left_out():
    request = parse(body_of(SOUND, parameters={"sequence_id": 7}), None, SILERO)

    assert [tensor.name for tensor in request.inputs] == ["input"]
    assert request.wishes.sequence == SequenceStep(id=7)


def test_within_a_sequence_a_state_that_is_sent_is_refused():
    with pytest.raises(TensorError, match="keeps within a sequence") as caught:
        parse(body_of(SOUND, STATE, parameters={"sequence_id": 7}), None, SILERO)

    assert caught.value.pointer == "/inputs/1/name"


def test_outside_of_a_sequence_states_are_inputs_like_others():
    assert len(parse(body_of(SOUND, STATE), None, SILERO).inputs) == 2
    with pytest.raises(TensorError, match="lacks 'state'"):
        parse(body_of(SOUND), None, SILERO)


def test_binary_tensors_in_shared_memory_say_where_they_are():
    """A worker reads them there; those that came as JSON are nowhere it could look."""
    view = view_of(spec("x"), spec("y"), spec("z"))
    text = body_of(
        {"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
        {"name": "y", "datatype": "FP32", "shape": [1], "data": [1]},
        {"name": "z", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}},
    )
    memory = memoryview(bytearray(1000))
    content = memory[100 : 100 + len(text) + 12]
    content[:] = text + b"aaaabbbbbbbb"
    tensors = parse_request(Body(content=content, memory=memory, offset=100), len(text), view).inputs

    assert [tensor.at for tensor in tensors] == [100 + len(text), None, 104 + len(text)]
    for tensor in (tensors[0], tensors[2]):
        assert memory[tensor.at : tensor.at + len(tensor.data)] == tensor.data


def test_a_bare_body_in_shared_memory_becomes_one_element_where_it_is():
    memory = memoryview(bytearray(100))
    memory[64:67] = b"abc"
    body = Body(content=memory[64:67], memory=memory, offset=64)
    tensor = parse_request(body, 0, view_of(spec("b", "BYTES", (1,)))).inputs[0]

    assert tensor.at == 60
    assert bytes(memory[60:67]) == bytes(tensor.data) == pack_bytes([b"abc"])
