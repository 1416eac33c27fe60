"""Messages of the tensor socket to bytes. Pure; standard library only."""

import struct
from collections.abc import Sequence

from edged.tensor_socket import layout
from edged.tensor_socket.layout import (
    ERROR_CLOSING,
    HEADER,
    INFER_END,
    INFER_START,
    NO_OUTPUT,
    OPEN_BACKGROUND,
    OPEN_SCALES,
    TENSOR_STATE,
    MessageType,
    ProtocolError,
    check,
    check_permille,
    check_request,
    check_shape,
)
from edged.tensor_socket.messages import (
    MAX_ENTRIES,
    MAX_MESSAGE_BYTES,
    MAX_TENSORS,
    MAX_TEXT_BYTES,
    PROTOCOL_VERSION,
    Error,
    Infer,
    Notice,
    Open,
    Opened,
    Placed,
    Result,
    TensorEntry,
    ToClient,
    ToServer,
)


def encode(message: ToServer | ToClient) -> bytes:
    """Return the datagram for a message.

    Raises:
        ProtocolError: A value is out of its field's range, or the message is too long.
    """
    match message:
        case Open():
            flags = OPEN_BACKGROUND * message.is_background | OPEN_SCALES * message.wants_scales
            return _datagram(MessageType.OPEN, _open(message), flags=flags)
        case Opened():
            return _datagram(MessageType.OPENED, _opened(message))
        case Infer():
            flags = INFER_START * message.is_start | INFER_END * message.is_end
            return _datagram(MessageType.INFER, _infer(message), flags=flags, request=message.request)
        case Result():
            return _datagram(MessageType.RESULT, _result(message), request=message.request)
        case Error():
            flags = ERROR_CLOSING * message.is_closing
            return _datagram(MessageType.ERROR, _error(message), flags=flags, request=message.request)
        case Notice():
            return _datagram(MessageType.NOTICE, _notice(message))


def _datagram(kind: MessageType, body: Sequence[bytes], *, flags: int = 0, request: int = 0) -> bytes:
    size = HEADER.size + sum(len(part) for part in body)
    check(size, 0, MAX_MESSAGE_BYTES, f"{kind.name}, size")
    check_request(kind, request)
    return b"".join([HEADER.pack(kind.name, size=size, type=kind, flags=flags, request=request), *body])


def _open(message: Open) -> list[bytes]:
    texts = [_text(message.model, "OPEN, model"), _text(message.version, "OPEN, version")]
    fixed = layout.OPEN.pack("OPEN", protocol=PROTOCOL_VERSION, model_size=len(texts[0]), version_size=len(texts[1]))
    return [fixed, *texts]


def _opened(message: Opened) -> list[bytes]:
    check(len(message.tensors), 0, MAX_ENTRIES, "OPENED, tensors")
    texts = [_text(message.version, "OPENED, version"), _text(message.variant, "OPENED, variant")]
    fixed = layout.OPENED.pack(
        "OPENED",
        memory_bytes=message.memory_bytes,
        requests_per_1000_s=message.requests_per_1000_s,
        burst=message.burst,
        deadline_us=message.deadline_us,
        tensors=len(message.tensors),
        version_size=len(texts[0]),
        variant_size=len(texts[1]),
        wanted_permille=check_permille(message.wanted_permille, "OPENED, wanted_permille"),
    )
    entries = [part for i, entry in enumerate(message.tensors) for part in _entry(entry, f"OPENED, tensor {i}")]
    return [fixed, *texts, *entries]


def _entry(entry: TensorEntry, where: str) -> list[bytes]:
    name = _text(entry.name, f"{where}, name")
    fixed = layout.ENTRY.pack(
        where,
        kind=entry.kind,
        datatype=entry.datatype,
        rank=len(entry.shape),
        flags=TENSOR_STATE * entry.is_state,
        index=entry.index,
        name_size=len(name),
    )
    return [fixed, _shape(entry.shape, where, lowest=-1), name]


def _infer(message: Infer) -> list[bytes]:
    check(len(message.inputs), 0, MAX_TENSORS, "INFER, inputs")
    check(len(message.outputs), 1, MAX_TENSORS, "INFER, outputs")
    fixed = layout.INFER.pack(
        "INFER",
        sequence=message.sequence,
        deadline_us=message.deadline_us,
        priority=message.priority,
        inputs=len(message.inputs),
        outputs=len(message.outputs),
    )
    inputs = [_placed(item, f"INFER, input {i}") for i, item in enumerate(message.inputs)]
    rooms = [
        layout.ROOM.pack(f"INFER, output {i}", index=room.index, offset=room.offset, capacity=room.capacity)
        for i, room in enumerate(message.outputs)
    ]
    return [fixed, *inputs, *rooms]


def _result(message: Result) -> list[bytes]:
    check(len(message.outputs), 1, MAX_TENSORS, "RESULT, outputs")
    fixed = layout.RESULT.pack(
        "RESULT",
        run_ns=message.run_ns,
        outputs=len(message.outputs),
        scale_permille=check_permille(message.scale_permille, "RESULT, scale_permille"),
    )
    return [fixed, *(_placed(item, f"RESULT, output {i}") for i, item in enumerate(message.outputs))]


def _error(message: Error) -> list[bytes]:
    check(message.status, 400, 599, "ERROR, status")
    if message.output is not None:
        check(message.output, 0, NO_OUTPUT - 1, "ERROR, output")
    texts = [
        _text(message.code, "ERROR, code"),
        _text(message.message, "ERROR, message"),
        _text(message.hint, "ERROR, hint"),
    ]
    fixed = layout.ERROR.pack(
        "ERROR",
        status=message.status,
        code_size=len(texts[0]),
        message_size=len(texts[1]),
        hint_size=len(texts[2]),
        retry_after_ms=message.retry_after_ms,
        output=NO_OUTPUT if message.output is None else message.output,
        needed_bytes=message.needed_bytes,
    )
    return [fixed, *texts]


def _notice(message: Notice) -> list[bytes]:
    texts = [_text(message.version, "NOTICE, version"), _text(message.variant, "NOTICE, variant")]
    fixed = layout.NOTICE.pack(
        "NOTICE",
        version_size=len(texts[0]),
        variant_size=len(texts[1]),
        wanted_permille=check_permille(message.wanted_permille, "NOTICE, wanted_permille"),
    )
    return [fixed, *texts]


def _placed(item: Placed, where: str) -> bytes:
    fixed = layout.PLACED.pack(where, index=item.index, rank=len(item.shape), offset=item.offset, size=item.size)
    return fixed + _shape(item.shape, where, lowest=0)


def _shape(shape: Sequence[int], where: str, *, lowest: int) -> bytes:
    check_shape(shape, where, lowest=lowest)
    return struct.pack(f"<{len(shape)}q", *shape)


def _text(text: str, where: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        raise ProtocolError(f"{where}: {exc.reason}") from exc
    check(len(data), 0, MAX_TEXT_BYTES, f"{where}, size")
    return data
