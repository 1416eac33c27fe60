"""The words daemon and template exchange: one msgpack message a datagram, descriptors beside it. No I/O."""

from typing import Annotated, Final

import msgspec

from edged.runtime.wire import MAX_FILES, Message, Text, WireError

MAX_DATAGRAM_BYTES: Final = 16 << 10
MAX_DESCRIPTORS: Final = MAX_FILES + 3
"""A worker's three channels and its files."""


class Ready(Message, frozen=True, kw_only=True, tag_field="type", tag="ready"):
    """The template has imported the runtime and can fork. ``runtime`` is its name and version."""

    runtime: Text


class Fork(Message, frozen=True, kw_only=True, tag_field="type", tag="fork"):
    """Start a worker. Descriptors: its ends of the channels (control, runs, loans), and the files of its specification in order."""

    request: Annotated[int, msgspec.Meta(ge=0)]
    name: Annotated[str, msgspec.Meta(max_length=200)]
    memory_limit_bytes: Annotated[int, msgspec.Meta(gt=0)]


class Forked(Message, frozen=True, kw_only=True, tag_field="type", tag="forked"):
    """A worker runs. Descriptor: its pidfd (``pidfd_open(2)``)."""

    request: int
    pid: int


class ForkFailed(Message, frozen=True, kw_only=True, tag_field="type", tag="fork-failed"):
    """The system refused another process."""

    request: int
    message: Text


class Exited(Message, frozen=True, kw_only=True, tag_field="type", tag="exited"):
    """A worker is gone and reaped. ``status`` is its exit status, or minus the signal that ended it."""

    pid: int
    status: int


ToTemplate = Fork
FromTemplate = Ready | Forked | ForkFailed | Exited

_TO_TEMPLATE: Final[msgspec.msgpack.Decoder[ToTemplate]] = msgspec.msgpack.Decoder(Fork)
_FROM_TEMPLATE: Final[msgspec.msgpack.Decoder[FromTemplate]] = msgspec.msgpack.Decoder(FromTemplate)


def encode(message: ToTemplate | FromTemplate) -> bytes:
    """Return the datagram for a message."""
    return msgspec.msgpack.encode(message)


def decode_to_template(data: bytes) -> ToTemplate:
    """Read what the daemon sent.

    Raises:
        WireError: It is not a message for the template.
    """
    try:
        return _TO_TEMPLATE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WireError(f"not a message for the template: {exc}") from exc


def decode_from_template(data: bytes) -> FromTemplate:
    """Read what the template sent.

    Raises:
        WireError: It is not a message of the template.
    """
    try:
        return _FROM_TEMPLATE.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WireError(f"not a message of the template: {exc}") from exc
