"""The words daemon and worker exchange, and how they lie on a byte stream. No I/O.

A frame is a prefix of 12 bytes (head length as 4, payload length as 8 bytes, little-endian), a head, and a payload. The head is one
msgpack map with a ``type``; the payload is the bytes of the tensors the head lists, one after the other. Whoever reads a frame asks
for the prefix, learns how much more to read, and so receives large tensors straight into one buffer.

Both sides refuse what they did not expect: a worker has run a model from outside, so the daemon trusts nothing it says.
"""

import struct
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

import msgspec

from edged.bundle.manifest import Role, Sha256, Variant
from edged.pipeline.spec import Datatype, Pipeline
from edged.pipeline.steps import TensorName

PREFIX: Final = struct.Struct("<IQ")
MAX_HEAD_BYTES: Final = 1 << 20
MAX_PAYLOAD_BYTES: Final = 1 << 28
MAX_TENSORS: Final = 64
MAX_FILES: Final = 64

Buffer = bytes | bytearray | memoryview
RequestId = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
Names = Annotated[tuple[TensorName, ...], msgspec.Meta(max_length=MAX_TENSORS)]


class WireError(Exception):
    """The other end of a channel sent what is not of this protocol; the channel is of no more use.

    Not part of ``edged.errors``: it never leaves the runtime, where it becomes the loss of a worker.
    """


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that travels."""


class FilePin(Message, frozen=True, kw_only=True):
    """A file handed over as a descriptor: what it is for, and what its bytes must be."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    role: Role
    sha256: Sha256
    size: Annotated[int, msgspec.Meta(ge=0)]


class WorkerSpec(Message, frozen=True, kw_only=True):
    """All a worker needs to know about the model it is to run."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """For messages and the process list: the model, or the model and its version."""
    pipeline: Pipeline
    variant: Variant
    files: Annotated[tuple[FilePin, ...], msgspec.Meta(min_length=1, max_length=MAX_FILES)]
    """In the order of the descriptors; exactly one has role ``model``."""
    memory_limit_bytes: Annotated[int, msgspec.Meta(gt=0)]
    """Most private writable memory of the process (``RLIMIT_DATA``), interpreter and runtime included."""


class TensorHead(Message, frozen=True, kw_only=True):
    """A tensor without its bytes; ``size`` of them are its part of the payload."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=8)]
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_PAYLOAD_BYTES)]


Heads = Annotated[tuple[TensorHead, ...], msgspec.Meta(max_length=MAX_TENSORS)]


class Load(Message, frozen=True, kw_only=True, tag_field="type", tag="load"):
    """First frame to a worker."""

    spec: WorkerSpec


class Infer(Message, frozen=True, kw_only=True, tag_field="type", tag="infer"):
    """Run one request. ``outputs`` are the names wanted; empty means all of the pipeline's."""

    request: RequestId
    tensors: Heads
    outputs: Names = ()


class Loaded(Message, frozen=True, kw_only=True, tag_field="type", tag="loaded"):
    """The model is ready."""

    load_s: Annotated[float, msgspec.Meta(ge=0)]
    runtime: Text
    """Name and version of what executes it."""


class Failed(Message, frozen=True, kw_only=True, tag_field="type", tag="failed"):
    """A model could not be loaded, or a request not answered. ``code`` is the code of an error class."""

    request: RequestId | None = None
    """None when loading failed."""
    code: Text
    message: Text
    hint: Text = ""


class Inferred(Message, frozen=True, kw_only=True, tag_field="type", tag="inferred"):
    """The answer to one request."""

    request: RequestId
    tensors: Heads
    run_s: Annotated[float, msgspec.Meta(ge=0)]


ToWorker = Load | Infer
FromWorker = Loaded | Failed | Inferred
M = TypeVar("M")


def encode(message: ToWorker | FromWorker, payload: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the buffers that make up one frame, in order; tensors are not copied.

    Raises:
        WireError: The frame is larger than a reader accepts.
    """
    head = msgspec.msgpack.encode(message)
    size = sum(_size(part) for part in payload)
    _check_sizes(len(head), size)
    return [PREFIX.pack(len(head), size) + head, *payload]


def parse_prefix(data: Buffer) -> tuple[int, int]:
    """Return how many bytes of head and of payload follow a prefix.

    Raises:
        WireError: More than a frame may have.
    """
    if len(data) != PREFIX.size:
        raise WireError(f"a frame begins with {PREFIX.size} bytes, got {len(data)}")
    head_bytes, payload_bytes = PREFIX.unpack(data)
    _check_sizes(head_bytes, payload_bytes)
    return head_bytes, payload_bytes


def decode(decoder: msgspec.msgpack.Decoder[M], head: Buffer, payload_bytes: int) -> M:
    """Read a head and check that its tensors add up to the payload.

    Args:
        decoder: ``TO_WORKER`` or ``FROM_WORKER``.
        head: The bytes after the prefix.
        payload_bytes: What the prefix said.

    Raises:
        WireError: It is no message of that direction, or the sizes differ.
    """
    try:
        message = decoder.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WireError(f"not a message: {exc}") from exc
    declared = sum(tensor.size for tensor in getattr(message, "tensors", ()))
    if declared != payload_bytes:
        raise WireError(f"the tensors of a message have {declared} bytes, its payload has {payload_bytes}")
    return message


def split(heads: Sequence[TensorHead], payload: Buffer) -> list[memoryview]:
    """Return each tensor's part of a payload, without copying."""
    view = memoryview(payload)
    parts = []
    start = 0
    for head in heads:
        parts.append(view[start : start + head.size])
        start += head.size
    return parts


TO_WORKER: Final[msgspec.msgpack.Decoder[ToWorker]] = msgspec.msgpack.Decoder(ToWorker)
FROM_WORKER: Final[msgspec.msgpack.Decoder[FromWorker]] = msgspec.msgpack.Decoder(FromWorker)


def _size(part: Buffer) -> int:
    return part.nbytes if isinstance(part, memoryview) else len(part)


def _check_sizes(head_bytes: int, payload_bytes: int) -> None:
    if not 0 < head_bytes <= MAX_HEAD_BYTES:
        raise WireError(f"a head of {head_bytes} bytes; 1 to {MAX_HEAD_BYTES} are allowed")
    if payload_bytes > MAX_PAYLOAD_BYTES:
        raise WireError(f"a payload of {payload_bytes} bytes; at most {MAX_PAYLOAD_BYTES} are allowed")
