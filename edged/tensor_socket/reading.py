"""Bytes to messages of the tensor socket. Pure; standard library only."""

import struct
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from edged.tensor_socket import layout
from edged.tensor_socket.layout import (
    ERROR_CLOSING,
    HEADER,
    INFER_END,
    INFER_START,
    KNOWN_FLAGS,
    NO_OUTPUT,
    OPEN_BACKGROUND,
    OPEN_SCALES,
    TENSOR_STATE,
    Fields,
    MessageType,
    ProtocolError,
    VersionError,
    check,
    check_permille,
    check_request,
    check_shape,
)
from edged.tensor_socket.messages import (
    MAX_ENTRIES,
    MAX_MESSAGE_BYTES,
    MAX_RANK,
    MAX_TENSORS,
    MAX_TEXT_BYTES,
    PROTOCOL_VERSION,
    Datatype,
    Error,
    Infer,
    Kind,
    Notice,
    Open,
    Opened,
    Placed,
    Result,
    Room,
    TensorEntry,
    ToClient,
    ToServer,
)

Datagram = bytes | bytearray | memoryview
M = TypeVar("M")


def decode_to_server(datagram: Datagram) -> ToServer:
    """Read what an app sent.

    Raises:
        VersionError: It is an OPEN of another version of the protocol.
        ProtocolError: It is no message for edged.
    """
    return _decode(_TO_SERVER, datagram)


def decode_to_client(datagram: Datagram) -> ToClient:
    """Read what edged sent.

    Raises:
        ProtocolError: It is no message for an app.
    """
    return _decode(_TO_CLIENT, datagram)


class _Message:
    """A datagram with a good header; its body is read from front to end."""

    def __init__(self, datagram: Datagram) -> None:
        self._rest = memoryview(datagram)
        found = len(self._rest)
        self.name = "header"
        header = self.fields(HEADER)
        check(found, 0, MAX_MESSAGE_BYTES, "header, size")
        check(header["size"], found, found, "header, size")
        check(header["type"], min(MessageType), max(MessageType), "header, type")
        self.type = MessageType(header["type"])
        self.name = self.type.name
        self.flags = _flags(header["flags"], KNOWN_FLAGS.get(self.type, 0), self.name)
        self.request = header["request"]
        check_request(self.type, self.request)

    def take(self, size: int, where: str) -> memoryview:
        if size > len(self._rest):
            raise ProtocolError(f"{where}: {size} bytes, but only {len(self._rest)} are left")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def fields(self, fields: Fields, where: str = "") -> Mapping[str, int]:
        return fields.unpack(self.take(fields.size, where or self.name), where or self.name)

    def shape(self, rank: int, where: str, *, lowest: int = 0) -> tuple[int, ...]:
        check(rank, 0, MAX_RANK, f"{where}, rank")
        shape = struct.unpack(f"<{rank}q", self.take(8 * rank, f"{where}, shape"))
        check_shape(shape, where, lowest=lowest)
        return shape

    def text(self, size: int, where: str) -> str:
        check(size, 0, MAX_TEXT_BYTES, f"{where}, size")
        try:
            return str(self.take(size, where), "utf-8")
        except UnicodeDecodeError as exc:
            raise ProtocolError(f"{where}: not UTF-8") from exc

    def end(self) -> None:
        if len(self._rest):
            raise ProtocolError(f"{self.name}: {len(self._rest)} bytes after its last field")


def _decode(readers: Mapping[MessageType, Callable[[_Message], M]], datagram: Datagram) -> M:
    message = _Message(datagram)
    reader = readers.get(message.type)
    if reader is None:
        raise ProtocolError(f"header, type: {message.name} goes the other way")
    value = reader(message)
    message.end()
    return value


def _open(message: _Message) -> Open:
    fixed = message.fields(layout.OPEN)
    if fixed["protocol"] != PROTOCOL_VERSION:
        raise VersionError(f"OPEN, protocol: {fixed['protocol']}, expected {PROTOCOL_VERSION}")
    return Open(
        model=message.text(fixed["model_size"], "OPEN, model"),
        version=message.text(fixed["version_size"], "OPEN, version"),
        is_background=bool(message.flags & OPEN_BACKGROUND),
        wants_scales=bool(message.flags & OPEN_SCALES),
    )


def _opened(message: _Message) -> Opened:
    fixed = message.fields(layout.OPENED)
    check(fixed["tensors"], 0, MAX_ENTRIES, "OPENED, tensors")
    return Opened(
        version=message.text(fixed["version_size"], "OPENED, version"),
        variant=message.text(fixed["variant_size"], "OPENED, variant"),
        memory_bytes=fixed["memory_bytes"],
        requests_per_1000_s=fixed["requests_per_1000_s"],
        burst=fixed["burst"],
        deadline_us=fixed["deadline_us"],
        wanted_permille=check_permille(fixed["wanted_permille"], "OPENED, wanted_permille"),
        tensors=tuple(_entry(message, f"OPENED, tensor {i}") for i in range(fixed["tensors"])),
    )


def _entry(message: _Message, where: str) -> TensorEntry:
    fixed = message.fields(layout.ENTRY, where)
    check(fixed["kind"], min(Kind), max(Kind), f"{where}, kind")
    check(fixed["datatype"], min(Datatype), max(Datatype), f"{where}, datatype")
    return TensorEntry(
        kind=Kind(fixed["kind"]),
        index=fixed["index"],
        datatype=Datatype(fixed["datatype"]),
        is_state=bool(_flags(fixed["flags"], TENSOR_STATE, where)),
        shape=message.shape(fixed["rank"], where, lowest=-1),
        name=message.text(fixed["name_size"], f"{where}, name"),
    )


def _infer(message: _Message) -> Infer:
    fixed = message.fields(layout.INFER)
    check(fixed["inputs"], 0, MAX_TENSORS, "INFER, inputs")
    check(fixed["outputs"], 1, MAX_TENSORS, "INFER, outputs")
    return Infer(
        request=message.request,
        inputs=tuple(_placed(message, f"INFER, input {i}") for i in range(fixed["inputs"])),
        outputs=tuple(_room(message, f"INFER, output {i}") for i in range(fixed["outputs"])),
        deadline_us=fixed["deadline_us"],
        priority=fixed["priority"],
        sequence=fixed["sequence"],
        is_start=bool(message.flags & INFER_START),
        is_end=bool(message.flags & INFER_END),
    )


def _result(message: _Message) -> Result:
    fixed = message.fields(layout.RESULT)
    check(fixed["outputs"], 1, MAX_TENSORS, "RESULT, outputs")
    return Result(
        request=message.request,
        run_ns=fixed["run_ns"],
        scale_permille=check_permille(fixed["scale_permille"], "RESULT, scale_permille"),
        outputs=tuple(_placed(message, f"RESULT, output {i}") for i in range(fixed["outputs"])),
    )


def _error(message: _Message) -> Error:
    fixed = message.fields(layout.ERROR)
    check(fixed["status"], 400, 599, "ERROR, status")
    return Error(
        request=message.request,
        is_closing=bool(message.flags & ERROR_CLOSING),
        status=fixed["status"],
        code=message.text(fixed["code_size"], "ERROR, code"),
        message=message.text(fixed["message_size"], "ERROR, message"),
        hint=message.text(fixed["hint_size"], "ERROR, hint"),
        retry_after_ms=fixed["retry_after_ms"],
        output=None if fixed["output"] == NO_OUTPUT else fixed["output"],
        needed_bytes=fixed["needed_bytes"],
    )


def _notice(message: _Message) -> Notice:
    fixed = message.fields(layout.NOTICE)
    return Notice(
        version=message.text(fixed["version_size"], "NOTICE, version"),
        variant=message.text(fixed["variant_size"], "NOTICE, variant"),
        wanted_permille=check_permille(fixed["wanted_permille"], "NOTICE, wanted_permille"),
    )


def _placed(message: _Message, where: str) -> Placed:
    fixed = message.fields(layout.PLACED, where)
    shape = message.shape(fixed["rank"], where)
    return Placed(index=fixed["index"], shape=shape, offset=fixed["offset"], size=fixed["size"])


def _room(message: _Message, where: str) -> Room:
    fixed = message.fields(layout.ROOM, where)
    return Room(index=fixed["index"], offset=fixed["offset"], capacity=fixed["capacity"])


def _flags(flags: int, known: int, where: str) -> int:
    if flags & ~known:
        raise ProtocolError(f"{where}, flags: {flags:#x}, known are {known:#x}")
    return flags


_TO_SERVER: Final[Mapping[MessageType, Callable[[_Message], ToServer]]] = {
    MessageType.OPEN: _open,
    MessageType.INFER: _infer,
}
_TO_CLIENT: Final[Mapping[MessageType, Callable[[_Message], ToClient]]] = {
    MessageType.OPENED: _opened,
    MessageType.RESULT: _result,
    MessageType.ERROR: _error,
    MessageType.NOTICE: _notice,
}
