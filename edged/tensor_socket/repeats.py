"""Requests and answers that differ little from the ones before, without reading or writing all of them anew. Pure.

An app that asks a model again and again sends nearly the same INFER each time: in front, the number and what may change with it, and
behind that, unchanged, where the tensors lie. Whoever has understood an arrangement once knows it again by its bytes.
"""

import struct
from typing import Final, NamedTuple

from edged.tensor_socket.layout import INFER_END, INFER_START, MessageType

_HEADER: Final = struct.Struct("<IHHQ")
_VARYING: Final = struct.Struct("<QIH")
_NUMBERS: Final = struct.Struct("<QQ")
_NUMBERS_AT: Final = 8
"""Of a RESULT: the request's number and, next to it, the run time."""
_OUTPUTS_AT: Final = _NUMBERS_AT + _NUMBERS.size


class InferHead(NamedTuple):
    """What may change from one INFER to the next."""

    request: int
    is_start: bool
    is_end: bool
    sequence: int
    deadline_us: int
    priority: int


def split_infer(header: memoryview, body: memoryview) -> tuple[InferHead, bytes] | None:
    """Split an INFER into what may change and the bytes of its arrangement, which are the same if and only if that is the same.

    Args:
        header: Of a message.
        body: The rest of it.

    Returns:
        None for anything but an INFER with a good header: reading it as a whole tells what is wrong with it. The arrangement was not
        looked at.
    """
    size, kind, flags, request = _HEADER.unpack(header)
    if (
        kind != MessageType.INFER
        or size != _HEADER.size + len(body)
        or len(body) < _VARYING.size
        or flags > INFER_START | INFER_END
        or not request
    ):
        return None
    head = InferHead(request, bool(flags & INFER_START), bool(flags & INFER_END), *_VARYING.unpack_from(body))
    return head, bytes(body[_VARYING.size :])


def renumber_result(datagram: bytearray, *, request: int, run_ns: int) -> None:
    """Make a written RESULT that of another request, whose outputs have the same shapes and places."""
    _NUMBERS.pack_into(datagram, _NUMBERS_AT, request, run_ns)


def split_result(datagram: bytes) -> tuple[int, bytes] | None:
    """Split a RESULT into its request's number and the bytes of its outputs, which are the same if and only if those are.

    Returns:
        None for anything but a RESULT with a good header: reading it as a whole tells what it is. The outputs were not looked at.
    """
    if len(datagram) < _OUTPUTS_AT:
        return None
    size, kind, flags, request = _HEADER.unpack_from(datagram)
    if kind != MessageType.RESULT or size != len(datagram) or flags or not request:
        return None
    return request, datagram[_OUTPUTS_AT:]
