"""How the tensor socket's messages lie in their datagrams: the fields of each, and what their numbers may be.

One message is one datagram, everything is little-endian, nothing is padded, and a message has exactly the bytes that its fields add up
to. What can be judged without the model and the memory is judged when a message is written and again when it is read; a mistake is
named by its place: ``INFER, input 1, rank: 9, expected 0 to 8``. docs/tensor-socket.md has the same as tables.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

from edged.tensor_socket.messages import FULL_PERMILLE, MAX_RANK

MAX_AXIS: Final = 1 << 48
NO_OUTPUT: Final = 0xFFFFFFFF
"""In the field that names an output of an ERROR which is about none."""


class ProtocolError(Exception):
    """A message is not one of this protocol; the text names the message and the field."""


class VersionError(ProtocolError):
    """The other side speaks another version of the protocol."""


class MessageType(IntEnum):
    """The type in a message's header."""

    OPEN = 1
    OPENED = 2
    INFER = 3
    RESULT = 4
    ERROR = 5
    NOTICE = 6


OPEN_BACKGROUND: Final = 1
OPEN_SCALES: Final = 2
INFER_START: Final = 1
INFER_END: Final = 2
ERROR_CLOSING: Final = 1
TENSOR_STATE: Final = 1
"""The only flag that is not in a header, but in a tensor of OPENED."""

KNOWN_FLAGS: Final[Mapping[MessageType, int]] = {
    MessageType.OPEN: OPEN_BACKGROUND | OPEN_SCALES,
    MessageType.INFER: INFER_START | INFER_END,
    MessageType.ERROR: ERROR_CLOSING,
}
"""Of a message's header; messages that are not here have none."""


class Fields:
    """A run of numbers by name; one called ``reserved`` is zero.

    Args:
        formats: The ``struct`` format of each, in order.
    """

    def __init__(self, **formats: str) -> None:
        self._formats = {name: "<" + form for name, form in formats.items()}
        self._all = struct.Struct("<" + "".join(formats.values()))
        self.size: Final = self._all.size

    def pack(self, where: str, **values: int) -> bytes:
        """Write the fields.

        Raises:
            ProtocolError: A value is out of its field's range.
        """
        try:
            return self._all.pack(*(values.get(name, 0) for name in self._formats))
        except struct.error as exc:
            name = next(name for name, form in self._formats.items() if not _fits(form, values.get(name, 0)))
            raise ProtocolError(f"{where}, {name}: {values[name]} is out of range") from exc

    def unpack(self, data: memoryview, where: str) -> Mapping[str, int]:
        """Read the fields from exactly their bytes.

        Raises:
            ProtocolError: The reserved one is not zero.
        """
        values = dict(zip(self._formats, self._all.unpack(data), strict=True))
        check(values.get("reserved", 0), 0, 0, f"{where}, reserved")
        return values


HEADER: Final = Fields(size="I", type="H", flags="H", request="Q")
OPEN: Final = Fields(protocol="H", model_size="H", version_size="H", reserved="H")
OPENED: Final = Fields(
    memory_bytes="Q",
    requests_per_1000_s="I",
    burst="I",
    deadline_us="I",
    tensors="I",
    version_size="H",
    variant_size="H",
    wanted_permille="I",
)
ENTRY: Final = Fields(kind="B", datatype="B", rank="B", flags="B", index="H", name_size="H")
INFER: Final = Fields(sequence="Q", deadline_us="I", priority="H", inputs="B", outputs="B")
PLACED: Final = Fields(index="I", rank="I", offset="Q", size="Q")
ROOM: Final = Fields(index="I", reserved="I", offset="Q", capacity="Q")
RESULT: Final = Fields(run_ns="Q", outputs="I", scale_permille="I")
ERROR: Final = Fields(
    status="H", code_size="H", message_size="H", hint_size="H", retry_after_ms="I", output="I", needed_bytes="Q"
)
NOTICE: Final = Fields(version_size="H", variant_size="H", wanted_permille="I")


def check(value: int, lowest: int, highest: int, where: str) -> None:
    """Check a number.

    Raises:
        ProtocolError: It is out of range.
    """
    if not lowest <= value <= highest:
        raise ProtocolError(f"{where}: {value}, expected {lowest if lowest == highest else f'{lowest} to {highest}'}")


def check_request(kind: MessageType, request: int) -> None:
    """Check the request's number in a header: requests and results have one, errors may, other messages do not.

    Raises:
        ProtocolError: There is one too many, or it is missing.
    """
    if kind in {MessageType.INFER, MessageType.RESULT}:
        check(request, 1, (1 << 64) - 1, f"{kind.name}, request")
    elif kind is not MessageType.ERROR:
        check(request, 0, 0, f"{kind.name}, request")


def check_permille(value: int, where: str) -> int:
    """Return a scale in thousandths of the full size once it is found to be one; 0 says nothing.

    Raises:
        ProtocolError: It is more than all.
    """
    check(value, 0, FULL_PERMILLE, where)
    return value


def check_shape(shape: Sequence[int], where: str, *, lowest: int) -> None:
    """Check the axes of a tensor.

    Raises:
        ProtocolError: They are too many or out of range.
    """
    check(len(shape), 0, MAX_RANK, f"{where}, rank")
    for i, axis in enumerate(shape):
        check(axis, lowest, MAX_AXIS, f"{where}, axis {i}")


def _fits(form: str, value: int) -> bool:
    try:
        struct.pack(form, value)
    except struct.error:
        return False
    return True
