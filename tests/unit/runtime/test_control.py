"""Datagrams between daemon and template."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.runtime.control import (
    MAX_DATAGRAM_BYTES,
    MAX_DESCRIPTORS,
    Exited,
    Fork,
    Forked,
    ForkFailed,
    Ready,
    decode_from_template,
    decode_to_template,
    encode,
)
from edged.runtime.wire import MAX_FILES, WireError


@pytest.mark.parametrize(
    "message",
    [
        Ready(runtime="onnxruntime 1.21.0"),
        Forked(request=3, pid=77),
        ForkFailed(request=3, message="no"),
        Exited(pid=77, status=-9),
    ],
)
def test_messages_of_the_template_come_out_as_they_went_in(message):
    assert decode_from_template(encode(message)) == message


def test_a_fork_request_comes_out_as_it_went_in_and_fits_a_datagram():
    message = Fork(request=1, name="n" * 200, memory_limit_bytes=1 << 40)

    assert decode_to_template(encode(message)) == message
    assert len(encode(message)) < MAX_DATAGRAM_BYTES


def test_both_channels_and_every_file_fit_beside_a_fork_request():
    """SCM_MAX_FD is 253 (unix(7))."""
    assert MAX_FILES + 2 <= MAX_DESCRIPTORS <= 253


@given(st.binary(max_size=100))
def test_hostile_datagrams_are_refused(data):
    for read in (decode_to_template, decode_from_template):
        try:
            read(data)
        except WireError:
            continue


def test_messages_go_one_way_only():
    with pytest.raises(WireError):
        decode_to_template(encode(Ready(runtime="")))
    with pytest.raises(WireError):
        decode_from_template(encode(Fork(request=0, name="n", memory_limit_bytes=1)))
