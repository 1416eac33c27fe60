"""What the daemon and ``edged-offload`` say to each other. Pure.

A connection is one request: the daemon sends an ``Ask`` with the bytes of its tensors, and gets one ``Answered`` with those of the outputs,
or one ``Failed``. The daemon closes the connection to say that nobody waits any more. A message is a head, JSON behind its length as four
little-endian bytes, and then the bytes of the tensors that it lists, in order.

The daemon names a model, never a host: where requests of that model may go, ``edged-offload`` reads in the configuration itself. What comes
back is checked twice, there because the endpoint is not believed, and in the daemon because whoever reads hostile bytes is not believed.
"""

import struct
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from edged.codec import Document
from edged.pipeline.datatypes import Buffer
from edged.pipeline.spec import MAX_AXIS, Datatype, TensorName, TensorSpec

MAX_HEAD_BYTES: Final = 1 << 18
MAX_TENSORS: Final = 256
MAX_TENSOR_BYTES: Final = 1 << 30
LENGTH: Final = struct.Struct("<I")

Trouble = Literal["unreachable", "refused", "busy", "nonsense", "late", "too-large", "not-configured"]
"""What went wrong: no connection, or a failing server; a status that says no; told to come again; an answer that cannot be used; no answer
in time; more bytes than allowed; no endpoint for this model."""


class MessageError(ValueError):
    """What came is no message of the other process."""


class Placed(Document, frozen=True, kw_only=True):
    """A tensor whose bytes follow."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_AXIS)], ...], msgspec.Meta(max_length=8)]
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_TENSOR_BYTES)]


Tensors = Annotated[tuple[Placed, ...], msgspec.Meta(max_length=MAX_TENSORS)]


class Ask(Document, frozen=True, kw_only=True, tag="ask"):
    """A request for an answer."""

    model: str
    timeout_s: Annotated[float, msgspec.Meta(gt=0)]
    inputs: Tensors
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1, max_length=MAX_TENSORS)]
    """What is wanted, all of it."""


class Traffic(Document, frozen=True, kw_only=True):
    """What a request cost on the network, without TLS and the packets around it."""

    sent_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0
    received_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0


class Answered(Document, frozen=True, kw_only=True, tag="answered"):
    """An answer whose outputs are those that were wanted."""

    outputs: Tensors
    traffic: Traffic


class Failed(Document, frozen=True, kw_only=True, tag="failed"):
    """No answer, and why."""

    trouble: Trouble
    message: Annotated[str, msgspec.Meta(max_length=2000)]
    retry_after_s: Annotated[float, msgspec.Meta(ge=0, le=86400)] | None = None
    """As the endpoint asks for."""
    traffic: Traffic = Traffic()


def encode(message: Ask | Answered | Failed, tensors: Sequence[Buffer] = ()) -> bytes:
    """Write a message with the bytes of its tensors, as one copy: nobody's memory is read after this."""
    head = msgspec.json.encode(message)
    return b"".join((LENGTH.pack(len(head)), head, *tensors))


def decode_length(data: bytes) -> int:
    """Read the length of a head.

    Raises:
        MessageError: No head is that long.
    """
    (length,) = LENGTH.unpack(data)
    if length > MAX_HEAD_BYTES:
        raise MessageError(f"a head of {length} bytes")
    return int(length)


def decode_ask(head: bytes) -> Ask:
    """Read what the daemon says.

    Raises:
        MessageError: It is no request.
    """
    ask: Ask = _decode(head, Ask)
    return ask


def decode_outcome(head: bytes) -> Answered | Failed:
    """Read what ``edged-offload`` says.

    Raises:
        MessageError: It is no answer.
    """
    outcome: Answered | Failed = _decode(head, Answered | Failed)
    return outcome


def _decode(head: bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(head, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MessageError(str(exc)) from exc
