"""The words by which the daemon lends connections of the tensor socket to a worker. No I/O.

A third SOCK_SEQPACKET channel carries them, beside *control* and *runs* of ``edged.runtime.wire``, in datagrams of the same form but
without a payload. The daemon sends ``Board`` once, before anything else; then ``Adopt`` with the connection and its memory, which the
worker serves from then on until it says ``Returned``, on its own account or because it was told to ``Revoke``. A connection that is
returned is touched no more. Numbers of connections are never used twice with one worker; slots are, once their connection is returned.
"""

from typing import Annotated, Final, Literal

import msgspec

from edged.runtime.wire import MAX_SEGMENT_BYTES, Message, Scale

SLOTS: Final = 256
"""Most connections that are lent to one worker at a time."""

ConnectionNumber = Annotated[int, msgspec.Meta(ge=1)]


Why = Literal["revoked", "closed", "refused", "unusable"]
"""Why a worker gives a connection back: it was told to; the client has closed it; the client did what it may not, and was told so; its
memory cannot be used, which nobody has told the client."""


class Lease(Message, frozen=True, kw_only=True, array_like=True):
    """What a connection may ask for."""

    deadline_s: Annotated[float, msgspec.Meta(gt=0)]
    """Longest time a request may take, and what one without a deadline gets."""
    rate_per_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Requests in the long run; 0 is no limit."""
    burst: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Requests at once before that rate counts."""
    scale: Scale = 1.0
    """Share of the full size that the policy asks for; the worker goes as far as the model can."""
    rule: str = ""
    """The rule of the policy that the rate is of; empty where it is the caller's own."""


class Board(Message, frozen=True, kw_only=True, tag_field="type", tag="board"):
    """Where the worker writes what it runs (``edged.runtime.board``). Descriptor: the memory."""


class Adopt(Message, frozen=True, kw_only=True, tag_field="type", tag="adopt"):
    """Serve a connection. Descriptors: the connection, and the client's memory."""

    connection: ConnectionNumber
    slot: Annotated[int, msgspec.Meta(ge=0, lt=SLOTS)]
    """Of the board."""
    memory_bytes: Annotated[int, msgspec.Meta(gt=0, le=MAX_SEGMENT_BYTES)]
    uid: Annotated[int, msgspec.Meta(ge=0)]
    """Of the caller, whose sequences are its own."""
    is_background: bool
    wants_scales: bool
    """Its client takes scales in answers."""
    lease: Lease


class Amend(Message, frozen=True, kw_only=True, tag_field="type", tag="amend"):
    """The terms of a lease are others from now on. No effect on a connection that was returned."""

    connection: ConnectionNumber
    lease: Lease


class Revoke(Message, frozen=True, kw_only=True, tag_field="type", tag="revoke"):
    """Give a connection back once the request under way is answered. No effect on one that was returned."""

    connection: ConnectionNumber
    is_urgent: bool = False
    """Stop the request under way: nobody waits for it."""


class Returned(Message, frozen=True, kw_only=True, tag_field="type", tag="returned"):
    """The worker is done with a connection."""

    connection: ConnectionNumber
    why: Why


ToBorrower = Board | Adopt | Amend | Revoke
FromBorrower = Returned
TO_BORROWER: Final[msgspec.msgpack.Decoder[ToBorrower]] = msgspec.msgpack.Decoder(ToBorrower)
FROM_BORROWER: Final[msgspec.msgpack.Decoder[FromBorrower]] = msgspec.msgpack.Decoder(FromBorrower)
