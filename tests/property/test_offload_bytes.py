"""Whatever comes from an endpoint, or from the process that reads it, is an answer or is refused; nothing else happens."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.offload.messages import (
    LENGTH,
    Answered,
    Ask,
    Failed,
    MessageError,
    Placed,
    Traffic,
    decode_ask,
    decode_length,
    decode_outcome,
    encode,
)
from edged.offload.oip import read_answer, write_request
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import check_spec, check_tensor

WANTED = (
    TensorSpec(name="score", dtype="FP32", shape=(-1, 2)),
    TensorSpec(name="label", dtype="BYTES", shape=(1,)),
    TensorSpec(name="flag", dtype="BOOL", shape=(-1,)),
)
SIZES = st.integers(-2, 20) | st.sampled_from([1 << 31, 1 << 63])
OUTPUT = st.fixed_dictionaries(
    {"name": st.sampled_from(["score", "label", "flag", "other"])},
    optional={
        "datatype": st.sampled_from(["FP32", "BYTES", "BOOL", "FP64", "", 7]),
        "shape": st.lists(SIZES, max_size=3),
        "data": st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), st.lists, max_leaves=6),
        "parameters": st.dictionaries(st.just("binary_data_size"), SIZES),
    },
)
DOCUMENTS = st.fixed_dictionaries({"outputs": st.lists(OUTPUT, max_size=4)}) | st.recursive(
    st.none() | st.text(max_size=3), lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner)
)


@given(DOCUMENTS, st.binary(max_size=40), st.none() | st.integers(0, 200))
def test_an_answer_has_what_was_wanted_or_is_none(document, rest, header_length):
    body = json.dumps(document).encode() + rest
    length = header_length if header_length is None or header_length > 100 else len(body) - len(rest)
    try:
        outputs = read_answer(body, length, WANTED)
    except MessageError:
        return
    for tensor, spec in zip(outputs, WANTED, strict=True):
        assert tensor.name == spec.name
        check_spec(tensor, spec)
        check_tensor(tensor)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_none(data):
    for decode in (decode_ask, decode_outcome):
        with pytest.raises(MessageError):
            decode(data)
    if len(data) >= LENGTH.size:
        with suppress(MessageError):
            assert decode_length(data[: LENGTH.size]) >= 0


def split(message):
    end = LENGTH.size + decode_length(message[: LENGTH.size])
    return message[LENGTH.size : end], message[end:]


@given(st.lists(st.binary(max_size=30), max_size=3), st.floats(0.001, 1e6))
def test_messages_come_out_as_they_went_in(tensors, timeout_s):
    placed = tuple(
        Placed(name=f"t{i}", dtype="UINT8", shape=(len(data),), size=len(data)) for i, data in enumerate(tensors)
    )
    ask = Ask(model="x", timeout_s=timeout_s, inputs=placed, outputs=WANTED)
    answered = Answered(outputs=placed, traffic=Traffic(sent_bytes=1, received_bytes=2))

    head, rest = split(encode(ask, tensors))
    assert (decode_ask(head), rest) == (ask, b"".join(tensors))
    head, rest = split(encode(answered, tensors))
    assert (decode_outcome(head), rest) == (answered, b"".join(tensors))
    failed = Failed(trouble="busy", message="later", retry_after_s=3.0)
    assert decode_outcome(split(encode(failed))[0]) == failed


def test_a_request_says_what_is_wanted_and_carries_the_bytes():
    placed = (Placed(name="x", dtype="UINT8", shape=(3,), size=3),)
    body, length = write_request(Ask(model="x", timeout_s=1.0, inputs=placed, outputs=WANTED), [b"abc"])

    document = json.loads(body[:length])
    assert body[length:] == b"abc"
    assert [output["name"] for output in document["outputs"]] == ["score", "label", "flag"]
    assert document["inputs"] == [
        {"name": "x", "datatype": "UINT8", "shape": [3], "parameters": {"binary_data_size": 3}}
    ]


def test_an_answer_of_every_kind_of_output_is_read():
    """So that the walk above is known to have something to find."""
    outputs = [
        {"name": "flag", "datatype": "BOOL", "shape": [2], "data": [True, False]},
        {"name": "score", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["cat"]},
        {"name": "other", "datatype": "BYTES", "shape": [1], "data": ["passed over"]},
    ]
    text = json.dumps({"outputs": outputs}).encode()
    score, label, flag = read_answer(text + bytes(8), len(text), WANTED)

    assert (bytes(score.data), bytes(label.data), bytes(flag.data)) == (bytes(8), b"\x03\x00\x00\x00cat", b"\x01\x00")
