"""Frames come out as they went in, and nothing else comes out of anything else."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.spec import Datatype
from edged.runtime.wire import (
    FROM_WORKER,
    MAX_HEAD_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_TENSORS,
    PREFIX,
    TO_WORKER,
    Failed,
    Infer,
    Inferred,
    Load,
    Loaded,
    TensorHead,
    WireError,
    decode,
    encode,
    parse_prefix,
    split,
)
from tests.fakes.models import add_model
from tests.fakes.workers import spec_of, worker_spec

names = st.text("az_:09 \x00é漢🙂", min_size=1, max_size=20)
payloads = st.lists(st.binary(max_size=50), max_size=5)
datatypes = st.sampled_from(Datatype.__args__)
shapes = st.lists(st.integers(0, 2**40), max_size=8).map(tuple)
seconds = st.floats(min_value=0, max_value=1e6)


@st.composite
def tensor_messages(draw):
    parts = draw(payloads)
    heads = tuple(
        TensorHead(name=draw(names), dtype=draw(datatypes), shape=draw(shapes), size=len(part)) for part in parts
    )
    request = draw(st.integers(0, 2**63))
    if draw(st.booleans()):
        return Infer(request=request, tensors=heads, outputs=tuple(draw(st.lists(names, max_size=3)))), parts
    return Inferred(request=request, tensors=heads, run_s=draw(seconds)), parts


def through_the_wire(message, parts=()):
    data = b"".join(encode(message, parts))
    head_bytes, payload_bytes = parse_prefix(data[: PREFIX.size])
    head, payload = data[PREFIX.size : PREFIX.size + head_bytes], data[PREFIX.size + head_bytes :]
    assert len(payload) == payload_bytes
    decoder = TO_WORKER if isinstance(message, Infer | Load) else FROM_WORKER
    got = decode(decoder, head, payload_bytes)
    return got, [bytes(part) for part in split(getattr(got, "tensors", ()), payload)]


@given(tensor_messages())
def test_tensors_come_out_as_they_went_in(sent):
    assert through_the_wire(*sent) == sent


@given(st.builds(Failed, request=st.none() | st.integers(0, 9), code=names, message=names, hint=names))
def test_failures_come_out_as_they_went_in(message):
    assert through_the_wire(message) == (message, [])


def test_load_and_loaded_come_out_as_they_went_in():
    spec = worker_spec(add_model(), [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])

    assert through_the_wire(Load(spec=spec)) == (Load(spec=spec), [])
    assert through_the_wire(Loaded(load_s=0.5, runtime="r 1")) == (Loaded(load_s=0.5, runtime="r 1"), [])


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from([TO_WORKER, FROM_WORKER]))
def test_hostile_heads_are_refused_and_nothing_else_happens(head, payload_bytes, decoder):
    """Whatever the bytes: a message of the right direction whose tensors add up, or WireError."""
    try:
        message = decode(decoder, head, payload_bytes)
    except WireError:
        return
    assert sum(tensor.size for tensor in getattr(message, "tensors", ())) == payload_bytes


@given(tensor_messages(), st.data())
def test_a_damaged_head_is_refused_or_another_message(sent, data):
    message, parts = sent
    head = bytearray(msgspec.msgpack.encode(message))
    head[data.draw(st.integers(0, len(head) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(TO_WORKER, bytes(head), sum(map(len, parts)))
    except WireError:
        return


@given(st.binary(min_size=PREFIX.size, max_size=PREFIX.size))
def test_a_prefix_never_asks_for_more_than_the_limits(data):
    try:
        head_bytes, payload_bytes = parse_prefix(data)
    except WireError:
        return
    assert 0 < head_bytes <= MAX_HEAD_BYTES
    assert payload_bytes <= MAX_PAYLOAD_BYTES


@pytest.mark.parametrize(
    "prefix",
    [b"", b"\x00" * 11, PREFIX.pack(0, 0), PREFIX.pack(MAX_HEAD_BYTES + 1, 0), PREFIX.pack(1, MAX_PAYLOAD_BYTES + 1)],
)
def test_a_prefix_beyond_the_limits_is_refused(prefix):
    with pytest.raises(WireError):
        parse_prefix(prefix)


def test_a_frame_beyond_the_limits_is_not_made():
    with pytest.raises(WireError, match="payload"):
        encode(Loaded(load_s=0, runtime=""), [memoryview(bytearray(MAX_PAYLOAD_BYTES)), b"x"])


def test_too_many_tensors_are_refused():
    heads = tuple(TensorHead(name="x", dtype="UINT8", shape=(0,), size=0) for _ in range(MAX_TENSORS + 1))

    with pytest.raises(WireError, match="tensors"):
        decode(TO_WORKER, msgspec.msgpack.encode(Infer(request=0, tensors=heads)), 0)


def test_a_payload_the_head_does_not_explain_is_refused():
    """Otherwise the next frame would begin inside this one's bytes."""
    head = msgspec.msgpack.encode(Infer(request=0, tensors=(TensorHead(name="x", dtype="UINT8", shape=(3,), size=3),)))

    with pytest.raises(WireError, match="has 2"):
        decode(TO_WORKER, head, 2)


def test_messages_go_one_way_only():
    with pytest.raises(WireError):
        decode(TO_WORKER, msgspec.msgpack.encode(Loaded(load_s=0, runtime="")), 0)
    with pytest.raises(WireError):
        decode(FROM_WORKER, msgspec.msgpack.encode(Infer(request=0, tensors=())), 0)


def test_unknown_keys_are_refused():
    head = msgspec.msgpack.encode({"type": "loaded", "load_s": 0.0, "runtime": "", "more": 1})

    with pytest.raises(WireError, match="more"):
        decode(FROM_WORKER, head, 0)
