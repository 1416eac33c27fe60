"""Datagrams come out as they went in, and nothing else comes out of anything else."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.spec import Datatype
from edged.runtime.wire import (
    FROM_CONTROL,
    FROM_RUNS,
    MAX_BATCH,
    MAX_DATAGRAM_BYTES,
    MAX_SEGMENT_BYTES,
    MAX_TENSORS,
    PREFIX,
    TO_CONTROL,
    TO_RUNS,
    Answered,
    Failed,
    Give,
    Item,
    Load,
    Loaded,
    LoadFailed,
    Place,
    Ran,
    Run,
    Step,
    Stop,
    TensorHead,
    Unmap,
    WireError,
    decode,
    encode,
    split,
)
from tests.fakes.models import add_model
from tests.fakes.workers import spec_of, worker_spec

DECODERS = {"to control": TO_CONTROL, "from control": FROM_CONTROL, "to runs": TO_RUNS, "from runs": FROM_RUNS}

names = st.text("az_:09 \x00é漢🙂", min_size=1, max_size=20)
texts = st.text(max_size=30)
numbers = st.integers(0, 2**63)
sizes = st.integers(0, MAX_SEGMENT_BYTES)
seconds = st.floats(min_value=0, max_value=1e6)
segments = st.integers(1, 2**31)
places = st.builds(Place, segment=segments, offset=sizes, size=sizes)
steps = st.builds(
    Step, uid=numbers, id=st.integers(-(2**63), 2**63) | texts, is_start=st.booleans(), is_end=st.booleans()
)
named_segments = st.lists(st.tuples(segments, sizes), max_size=3).map(tuple)


@st.composite
def tensors(draw, payload):
    """Heads of one item; the bytes of those in no segment are added to the payload."""
    heads = []
    for _ in range(draw(st.integers(0, 3))):
        part = draw(st.binary(max_size=50))
        segment = draw(st.just(0) | segments)
        if not segment:
            payload.append(part)
        heads.append(
            TensorHead(
                name=draw(names),
                dtype=draw(st.sampled_from(Datatype.__args__)),
                shape=tuple(draw(st.lists(st.integers(0, 2**40), max_size=8))),
                size=len(part),
                segment=segment,
                offset=draw(sizes) if segment else 0,
            )
        )
    return tuple(heads)


@st.composite
def runs(draw):
    payload = []
    items = tuple(
        Item(
            tensors=draw(tensors(payload)),
            outputs=tuple(draw(st.lists(names, max_size=3))),
            sequence=draw(st.none() | steps),
            room=draw(st.none() | places),
        )
        for _ in range(draw(st.integers(1, 3)))
    )
    rank = draw(st.integers(-(2**31), 2**31))
    return Run(run=draw(numbers), items=items, segments=draw(named_segments), rank=rank), payload


@st.composite
def answers(draw):
    payload = []
    failures = st.builds(Failed, code=texts, message=texts, hint=texts)
    found = tuple(
        draw(failures) if draw(st.booleans()) else Answered(tensors=draw(tensors(payload)))
        for _ in range(draw(st.integers(0, 3)))
    )
    rooms = tuple(draw(st.lists(sizes, max_size=3)))
    return Ran(run=draw(numbers), answers=found, run_s=draw(seconds), room_bytes=rooms), payload


gives = st.builds(
    Give, run=numbers, rooms=st.lists(st.none() | places, max_size=3).map(tuple), segments=named_segments
).map(lambda message: (message, []))


def through_the_wire(decoder, message, payload=()):
    got, rest = decode(decoder, b"".join(encode(message, payload)))
    assert bytes(rest) == b"".join(payload)
    return got, rest


@given(runs() | gives)
def test_work_comes_out_as_it_went_in(sent):
    assert through_the_wire(TO_RUNS, *sent)[0] == sent[0]


@given(answers())
def test_answers_come_out_as_they_went_in(sent):
    assert through_the_wire(FROM_RUNS, *sent)[0] == sent[0]


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (TO_CONTROL, Load(spec=worker_spec(add_model(), [spec_of("x", "FP32", (4,))], [spec_of("y", "FP32", (4,))]))),
        (TO_CONTROL, Stop(run=3)),
        (TO_CONTROL, Unmap(segment=1)),
        (FROM_CONTROL, Loaded(load_s=0.5, runtime="r 1", unconfined=("no Landlock",))),
        (FROM_CONTROL, LoadFailed(code="c", message="m", hint="h")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else "",
)
def test_words_of_the_control_channel_come_out_as_they_went_in(decoder, message):
    assert through_the_wire(decoder, message)[0] == message


@given(runs())
def test_each_tensor_gets_its_own_part_of_the_payload(sent):
    message, parts = sent
    _, payload = through_the_wire(TO_RUNS, message, parts)
    start = 0
    found = []
    for item in message.items:
        views, start = split(item.tensors, payload, start)
        assert [view is None for view in views] == [bool(head.segment) for head in item.tensors]
        found += [bytes(view) for view in views if view is not None]

    assert found == parts
    assert start == len(payload)


@given(st.sampled_from(list(DECODERS)), st.binary(max_size=300))
def test_arbitrary_bytes_are_a_message_or_refused_and_nothing_else_happens(direction, data):
    try:
        message, payload = decode(DECODERS[direction], data)
    except WireError:
        return
    assert isinstance(message, msgspec.Struct)
    assert len(payload) < len(data)


@given(st.sampled_from(list(DECODERS)), st.binary(max_size=300))
def test_arbitrary_heads_are_a_message_or_refused_and_nothing_else_happens(direction, head):
    """As above, past the length in front."""
    try:
        decode(DECODERS[direction], PREFIX.pack(len(head)) + head)
    except WireError:
        return


def values():
    """Anything msgpack can say."""
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(texts, inner), max_leaves=20
    )


@given(
    st.sampled_from(list(DECODERS)),
    st.sampled_from(["run", "give", "ran", "load", "stop", "unmap", "loaded", "load-failed", "other"]),
    st.lists(values(), max_size=6),
    st.booleans(),
)
def test_well_formed_nonsense_is_a_message_or_refused(direction, tag, members, is_map):
    value = {"type": tag, **{str(i): member for i, member in enumerate(members)}} if is_map else [tag, *members]
    head = msgspec.msgpack.encode(value)
    try:
        decode(DECODERS[direction], PREFIX.pack(len(head)) + head)
    except WireError:
        return


@given(runs(), st.data())
def test_damaged_work_is_refused_or_other_work(sent, data):
    datagram = bytearray(b"".join(encode(*sent)))
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        message, payload = decode(TO_RUNS, datagram)
        for item in getattr(message, "items", ()):
            split(item.tensors, payload)
    except WireError:
        return


@given(answers(), st.data())
def test_a_datagram_that_is_cut_short_is_refused_or_misses_a_tensor(sent, data):
    message, parts = sent
    whole = b"".join(encode(message, parts))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(WireError):  # noqa: PT012 - either of the two may notice
        got, payload = decode(FROM_RUNS, cut)
        assert got == message
        start = 0
        for answer in message.answers:
            if isinstance(answer, Answered):
                _, start = split(answer.tensors, payload, start)


def test_a_deep_message_is_refused():
    head = b"\x91" * 100_000

    with pytest.raises(WireError):
        decode(FROM_RUNS, PREFIX.pack(len(head)) + head)


@pytest.mark.parametrize("data", [b"", b"\x01\x00\x00", PREFIX.pack(1), PREFIX.pack(2**32 - 1) + b"x"])
def test_a_datagram_without_its_head_is_refused(data):
    with pytest.raises(WireError):
        decode(FROM_RUNS, data)


def test_text_that_is_not_utf8_is_refused():
    head = msgspec.msgpack.encode(LoadFailed(code="AAAA", message="")).replace(b"AAAA", b"\xff\xfe\xc0\xaf")

    with pytest.raises(WireError):
        decode(FROM_CONTROL, PREFIX.pack(len(head)) + head)


@pytest.mark.parametrize("run_s", [math.nan, math.inf, -1.0, 1e300])
def test_times_that_are_none_are_refused(run_s):
    """They would travel on into statistics and JSON."""
    with pytest.raises(WireError):
        through_the_wire(FROM_RUNS, Ran(run=0, run_s=run_s))


def test_a_datagram_beyond_the_limit_is_not_made():
    encode(Stop(run=0), [bytes(MAX_DATAGRAM_BYTES - 100)])
    with pytest.raises(WireError, match="at most"):
        encode(Stop(run=0), [memoryview(bytes(MAX_DATAGRAM_BYTES)).cast("H")])


def head(**changes):
    return TensorHead(**{"name": "x", "dtype": "UINT8", "shape": (1,), "size": 1} | changes)


@pytest.mark.parametrize(
    "message",
    [
        Run(run=0, items=()),
        Run(run=0, items=(Item(tensors=()),) * (MAX_BATCH + 1)),
        Run(run=0, items=(Item(tensors=(head(),) * (MAX_TENSORS + 1)),)),
        Run(run=0, items=(Item(tensors=(head(size=MAX_SEGMENT_BYTES + 1),)),)),
        Run(run=0, items=(Item(tensors=(head(size=-1),)),)),
        Run(run=0, items=(Item(tensors=(head(offset=-1),)),)),
        Run(run=0, items=(Item(tensors=(head(segment=-1),)),)),
        Run(run=0, items=(Item(tensors=(head(shape=(1,) * 9),)),)),
        Run(run=0, items=(Item(tensors=(head(shape=(-1,)),)),)),
        Run(run=0, items=(Item(tensors=(head(dtype="FP8"),)),)),
        Run(run=0, items=(Item(tensors=(head(name=""),)),)),
        Run(run=0, items=(Item(tensors=(), room=Place(segment=0, offset=0, size=1)),)),
        Run(run=-1, items=(Item(tensors=()),)),
        Run(run=0, items=(Item(tensors=()),), segments=((0, 1),)),
        Run(run=0, items=(Item(tensors=()),), segments=((1, 1),) * (2 * MAX_BATCH + 1)),
        Give(run=0, rooms=(None,) * (MAX_BATCH + 1)),
    ],
)
def test_work_beyond_the_limits_is_refused(message):
    with pytest.raises(WireError):
        through_the_wire(TO_RUNS, message)


def test_words_go_one_way_and_through_their_channel_only():
    messages = {
        "to control": Stop(run=0),
        "from control": Loaded(load_s=0, runtime=""),
        "to runs": Run(run=0, items=(Item(tensors=()),)),
        "from runs": Ran(run=0),
    }
    for spoken, message in messages.items():
        for direction, decoder in DECODERS.items():
            if direction == spoken:
                through_the_wire(decoder, message)
            else:
                with pytest.raises(WireError):
                    through_the_wire(decoder, message)


def test_unknown_keys_are_refused():
    data = msgspec.msgpack.encode({"type": "loaded", "load_s": 0.0, "runtime": "", "more": 1})

    with pytest.raises(WireError, match="more"):
        decode(FROM_CONTROL, PREFIX.pack(len(data)) + data)


def test_members_beyond_the_last_are_refused():
    """They are the unknown keys of a message that travels as an array."""
    data = msgspec.msgpack.encode(["ran", 0, [], 0.0, [], "more"])

    with pytest.raises(WireError):
        decode(FROM_RUNS, PREFIX.pack(len(data)) + data)
