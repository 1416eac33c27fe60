"""The tensor socket's messages: bytes that never change, values that come back, and nothing but one error for anything else."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edged.tensor_socket
from edged.tensor_socket import (
    Datatype,
    Error,
    Infer,
    Kind,
    Notice,
    Open,
    Opened,
    Placed,
    ProtocolError,
    Result,
    Room,
    TensorEntry,
    VersionError,
    decode_to_client,
    decode_to_server,
    encode,
)
from edged.tensor_socket.layout import MAX_AXIS, NO_OUTPUT
from edged.tensor_socket.messages import (
    FULL_PERMILLE,
    MAX_MESSAGE_BYTES,
    MAX_RANK,
    MAX_TENSORS,
    MAX_TEXT_BYTES,
    permille,
)
from tests.golden.tensor_socket import renew

VECTORS = json.loads(renew.PATH.read_text(encoding="utf-8"))
MESSAGES = renew.TO_SERVER | renew.TO_CLIENT

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
permilles = st.integers(0, FULL_PERMILLE)
requests = st.integers(1, 2**64 - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
placed = st.builds(
    Placed, index=u32, shape=st.lists(st.integers(0, MAX_AXIS), max_size=MAX_RANK).map(tuple), offset=u64, size=u64
)
placed_many = st.lists(placed, min_size=1, max_size=4).map(tuple)
to_server = st.one_of(
    st.builds(Open, model=texts, version=texts, is_background=st.booleans(), wants_scales=st.booleans()),
    st.builds(
        Infer,
        request=requests,
        inputs=st.lists(placed, max_size=4).map(tuple),
        outputs=st.lists(st.builds(Room, index=u32, offset=u64, capacity=u64), min_size=1, max_size=4).map(tuple),
        deadline_us=u32,
        priority=u16,
        sequence=u64,
        is_start=st.booleans(),
        is_end=st.booleans(),
    ),
)
entries = st.builds(
    TensorEntry,
    kind=st.sampled_from(Kind),
    index=u16,
    name=texts,
    datatype=st.sampled_from(Datatype),
    shape=st.lists(st.integers(-1, MAX_AXIS), max_size=MAX_RANK).map(tuple),
    is_state=st.booleans(),
)
to_client = st.one_of(
    st.builds(
        Opened,
        version=texts,
        variant=texts,
        memory_bytes=u64,
        deadline_us=u32,
        tensors=st.lists(entries, max_size=4).map(tuple),
        requests_per_1000_s=u32,
        burst=u32,
        wanted_permille=permilles,
    ),
    st.builds(Result, request=requests, run_ns=u64, outputs=placed_many, scale_permille=permilles),
    st.builds(
        Error,
        request=u64,
        status=st.integers(400, 599),
        code=texts,
        message=texts,
        hint=texts,
        is_closing=st.booleans(),
        retry_after_ms=u32,
        output=st.none() | st.integers(0, NO_OUTPUT - 1),
        needed_bytes=u64,
    ),
    st.builds(Notice, version=texts, variant=texts, wanted_permille=permilles),
)


def decode_for(name):
    return decode_to_server if name in renew.TO_SERVER else decode_to_client


def spoiled(name, at, replacement):
    """Return a golden datagram with some of its bytes replaced."""
    data = bytearray.fromhex(VECTORS[name]["bytes"])
    data[at : at + len(replacement)] = replacement
    return bytes(data)


def test_golden_bytes_are_what_is_written_today():
    """A difference is another protocol: it needs another version, not only ``renew``."""
    assert renew.PATH.read_text(encoding="utf-8") == renew.renewed()


@pytest.mark.parametrize("name", MESSAGES)
def test_golden_bytes_are_read_as_the_message_they_are(name):
    assert decode_for(name)(bytes.fromhex(VECTORS[name]["bytes"])) == MESSAGES[name]


@given(to_server)
def test_what_an_app_sends_comes_back(message):
    assert decode_to_server(encode(message)) == message


@given(to_client)
def test_what_edged_sends_comes_back(message):
    assert decode_to_client(encode(message)) == message


@given(st.data())
def test_changed_bytes_are_refused_or_mean_exactly_what_they_say(data):
    """Nothing but the protocol's error is raised, and whatever is accepted is written back as the very same bytes."""
    name = data.draw(st.sampled_from(sorted(MESSAGES)))
    changed = bytearray.fromhex(VECTORS[name]["bytes"])
    for _ in range(data.draw(st.integers(1, 4))):
        match data.draw(st.sampled_from(["flip", "cut", "put"])):
            case "flip" if changed:
                changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
            case "put":
                changed += data.draw(st.binary(max_size=8))
            case _:
                del changed[data.draw(st.integers(0, len(changed))) :]
    if data.draw(st.booleans()):
        changed[:4] = len(changed).to_bytes(4, "little")
    for decode in (decode_to_server, decode_to_client):
        try:
            message = decode(changed)
        except ProtocolError:
            continue
        assert encode(message) == changed


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_the_protocol_error(data):
    for decode in (decode_to_server, decode_to_client):
        with pytest.raises(ProtocolError):
            decode(data)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_cut_anywhere_is_refused(name):
    whole = bytes.fromhex(VECTORS[name]["bytes"])
    for size in range(len(whole)):
        cut = bytearray(whole[:size])
        cut[:4] = size.to_bytes(4, "little")[: len(cut)]
        with pytest.raises(ProtocolError):
            decode_for(name)(cut)


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_go_one_way(name):
    wrong = decode_to_client if name in renew.TO_SERVER else decode_to_server
    with pytest.raises(ProtocolError, match="goes the other way"):
        wrong(bytes.fromhex(VECTORS[name]["bytes"]))


@pytest.mark.parametrize(
    ("name", "at", "replacement", "complaint"),
    [
        ("open", 0, b"\xff", "header, size: 255, expected 30"),
        ("open", 4, b"\x07", "header, type: 7, expected 1 to 6"),
        ("open", 6, b"\x04", "OPEN, flags: 0x4, known are 0x3"),
        ("open", 8, b"\x01", "OPEN, request: 1, expected 0"),
        ("open", 18, b"\x07", "OPEN, model: 7 bytes, but only 6 are left"),
        ("open", 18, b"\x05", "OPEN: 1 bytes after its last field"),
        ("open", 22, b"\x01", "OPEN, reserved: 1, expected 0"),
        ("open", 24, b"\xff", "OPEN, model: not UTF-8"),
        ("infer", 8, b"\x00", "INFER, request: 0, expected 1 to"),
        ("infer", 30, b"\x41", "INFER, inputs: 65, expected 0 to 64"),
        ("infer", 31, b"\x00", "INFER, outputs: 0, expected 1 to 64"),
        ("infer", 36, b"\x09", "INFER, input 0, rank: 9, expected 0 to 8"),
        ("infer", 63, b"\xff", "INFER, input 0, axis 0: -"),
        ("infer", 76, b"\x01", "INFER, output 0, reserved: 1, expected 0"),
        ("opened", 36, b"\xc1", "OPENED, tensors: 193, expected 0 to 192"),
        ("opened", 44, b"\xe9\x03", "OPENED, wanted_permille: 1001, expected 0 to 1000"),
        ("result", 28, b"\xe9\x03", "RESULT, scale_permille: 1001, expected 0 to 1000"),
        ("notice", 20, b"\xe9\x03", "NOTICE, wanted_permille: 1001, expected 0 to 1000"),
        ("error-of-connection", 16, b"\xc8\x00", "ERROR, status: 200, expected 400 to 599"),
        ("result", 24, b"\x02", "RESULT, output 1: 24 bytes, but only 0 are left"),
        ("notice", 6, b"\x01", "NOTICE, flags: 0x1, known are 0x0"),
    ],
)
def test_a_mistake_is_named_by_its_field(name, at, replacement, complaint):
    with pytest.raises(ProtocolError, match=re.escape(complaint)):
        decode_for(name)(spoiled(name, at, replacement))


def test_another_version_is_told_from_damage():
    with pytest.raises(VersionError, match="OPEN, protocol: 2, expected 1"):
        decode_to_server(spoiled("open", 16, b"\x02"))


INPUT = Placed(index=0, shape=(1,), offset=0, size=4)
OUTPUT = Room(index=0, offset=0, capacity=4)


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (Open(model="m" * (MAX_TEXT_BYTES + 1)), "OPEN, model, size: 4097"),
        (Open(model="\ud800"), "OPEN, model: surrogates not allowed"),
        (Infer(request=0, inputs=(INPUT,), outputs=(OUTPUT,)), "INFER, request: 0"),
        (
            Infer(request=1, inputs=(INPUT,), outputs=(OUTPUT,), deadline_us=2**32),
            "INFER, deadline_us: 4294967296 is out",
        ),
        (Infer(request=1, inputs=(INPUT,) * (MAX_TENSORS + 1), outputs=(OUTPUT,)), "INFER, inputs: 65"),
        (Infer(request=1, inputs=(INPUT,), outputs=()), "INFER, outputs: 0"),
        (Result(request=1, run_ns=-1, outputs=(INPUT,)), "RESULT, run_ns: -1 is out of range"),
        (
            Result(request=1, run_ns=0, outputs=(Placed(index=0, shape=(-1,), offset=0, size=4),)),
            "RESULT, output 0, axis 0: -1",
        ),
        (Error(status=500, code="c", message="m", output=NO_OUTPUT), "ERROR, output: 4294967295"),
        (Result(request=1, run_ns=0, outputs=(INPUT,), scale_permille=1001), "RESULT, scale_permille: 1001"),
        (Notice(version="v" * 4096, variant="v" * 4097), "NOTICE, variant, size: 4097"),
        (Notice(version="v", variant="v", wanted_permille=1001), "NOTICE, wanted_permille: 1001"),
    ],
)
def test_nothing_is_written_that_could_not_be_read(message, complaint):
    with pytest.raises(ProtocolError, match=re.escape(complaint)):
        encode(message)


@pytest.mark.parametrize(("share", "written"), [(1.0, 1000), (0.5, 500), (1 / 3, 333), (0.0001, 1)])
def test_a_scale_is_written_in_thousandths_and_never_as_none(share, written):
    assert permille(share) == written


def test_messages_have_a_bounded_size():
    entry = TensorEntry(kind=Kind.OUTPUT, index=0, name="n" * 400, datatype=Datatype.FP32, shape=(1,))
    with pytest.raises(ProtocolError, match="OPENED, size: "):
        encode(Opened(version="1.0.0", variant="v", memory_bytes=1, deadline_us=1, tensors=(entry,) * 180))
    with pytest.raises(ProtocolError, match="header, size: "):
        decode_to_client((MAX_MESSAGE_BYTES + 1).to_bytes(4, "little") + bytes(MAX_MESSAGE_BYTES - 3))


def test_apps_need_nothing_but_python_for_it():
    """The client library uses this package where edged's own dependencies are missing."""
    for path in Path(edged.tensor_socket.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert (
                    name.startswith("edged.tensor_socket")
                    or name == "edged"
                    or name.split(".")[0] in sys.stdlib_module_names
                )
