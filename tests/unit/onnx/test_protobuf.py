"""The wire reader agrees with the format's description, and with Google's reader about what is damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.onnx.protobuf import GarbledError, WireType, read_fields, read_varint


def varint(value: int) -> bytes:
    data = b""
    while value >= 0x80:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number: int, wire: int, body: bytes) -> bytes:
    return varint(number << 3 | wire) + body


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_numbers_come_back(value, after):
    data = varint(value) + after

    assert read_varint(data, 0, len(data)) == (value, len(varint(value)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 11, b"\xff" * 9 + b"\x02", b"\xff" * 9 + b"\x7f"])
def test_numbers_that_do_not_end_or_have_more_than_64_bits_are_refused(data):
    with pytest.raises(GarbledError):
        read_varint(data, 0, len(data))


@given(
    st.lists(
        st.tuples(st.integers(1, 2**29 - 1), st.just(0), st.integers(0, 2**64 - 1).map(varint))
        | st.tuples(st.integers(1, 2**29 - 1), st.just(1), st.binary(min_size=8, max_size=8))
        | st.tuples(st.integers(1, 2**29 - 1), st.just(2), st.binary(max_size=20))
        | st.tuples(st.integers(1, 2**29 - 1), st.just(5), st.binary(min_size=4, max_size=4)),
        max_size=6,
    )
)
def test_fields_come_back_in_order_with_their_values(fields):
    parts = [field(n, w, varint(len(body)) + body if w == 2 else body) for n, w, body in fields]
    data = b"".join(parts)

    got = [(f.number, int(f.wire), data[f.start : f.end]) for f in read_fields(data, 0, len(data))]

    assert got == fields


@pytest.mark.parametrize(
    "data",
    [
        field(1, 3, b""),
        field(1, 4, b""),
        field(1, 6, b""),
        field(1, 7, b""),
        field(0, 0, b"\x00"),
        varint(1 << 32),
        field(1, 2, b"\x05four"),
        field(1, 2, varint(2**63)),
        field(1, 1, b"1234567"),
        field(1, 5, b"123"),
        field(1, 0, b""),
    ],
)
def test_what_is_no_field_is_refused(data):
    """Groups, reserved wire types, field 0, tags beyond 32 bits, and values that are cut short."""
    with pytest.raises(GarbledError):
        list(read_fields(data, 0, len(data)))


@given(st.binary(max_size=60))
def test_fields_never_leave_their_message(data):
    at = 0
    try:
        for got in read_fields(data, 0, len(data)):
            assert at < got.start <= got.end <= len(data)
            assert got.wire in WireType
            at = got.end
    except GarbledError:
        return
    assert at == len(data)
