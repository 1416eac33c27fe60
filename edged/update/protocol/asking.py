"""What is said on the updater's control socket. Pure.

A conversation is one connection of sequenced packets, so that each document is one packet, whole, whoever else writes to the same
connection. The one who asks begins with one ``Check`` or ``Apply``. What follows comes from the updater: a ``Step`` now and then, and one
``Outcome`` at the end. While something is applied, its refresh process also asks for files of the directory, one at a time, with
``OpenFile`` and ``ListPacks``, and waits for the answer: ``Opened`` with a descriptor (SCM_RIGHTS), ``Packs``, or ``NotOpened``. A
process that is begun again (``edged.update.service.watches``) passes over the answer to what the one before it asked for.

Neither side believes the other more than it must: the updater takes what comes through a descriptor for as hostile as what comes from a
host, and the one who asks opens nothing but regular files below the directory that was named.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from edged.codec import Document
from edged.update.protocol.messages import Failure, MessageError, Step
from edged.update.protocol.phases import Deferred

MAX_PACKET_BYTES: Final = 1 << 16
MAX_PACKS: Final = 64
"""Packed bundles of one directory that are looked into."""

PathBelow = Annotated[str, msgspec.Meta(pattern=r"^[^/\x00]+(/[^/\x00]+)*$(?!\n)", max_length=1024)]


class Check(Document, frozen=True, kw_only=True, tag="check"):
    """Look for updates now."""


class Apply(Document, frozen=True, kw_only=True, tag="apply"):
    """Bring the store up to date with files that this side opens."""


Request = Check | Apply


class Outcome(Document, frozen=True, kw_only=True, tag="outcome"):
    """How it ended."""

    staged: tuple[str, ...] = ()
    """``MODEL VERSION`` of each bundle that is new in the store; also when something else failed."""
    failure: Failure | None = None
    deferred: Deferred | None = None
    """Why bundles are not fetched now although nothing failed."""


class OpenFile(Document, frozen=True, kw_only=True, tag="open-file"):
    """Wanted: a file of the repository, by its path in it."""

    path: PathBelow


class ListPacks(Document, frozen=True, kw_only=True, tag="list-packs"):
    """Wanted: the names of the packed bundles that may be opened."""


Told = Step | Outcome | OpenFile | ListPacks


class Opened(Document, frozen=True, kw_only=True, tag="opened"):
    """The descriptor that comes with this is the file's."""

    path: PathBelow
    """The one that was asked for."""


class Packs(Document, frozen=True, kw_only=True, tag="packs"):
    """Names below the directory."""

    names: Annotated[tuple[PathBelow, ...], msgspec.Meta(max_length=MAX_PACKS)]


class NotOpened(Document, frozen=True, kw_only=True, tag="not-opened"):
    """Why there is no descriptor."""

    path: PathBelow | None
    """The one that was asked for; None when it was the names of packed bundles."""
    cause: Literal["missing", "refused", "broken"]
    """``missing``: nothing has that name. ``refused``: it is no file that may be opened. ``broken``: the system could not, and may not be
    able to open others either."""
    reason: Annotated[str, msgspec.Meta(max_length=1024)]


Reply = Opened | Packs | NotOpened


def encode_packet(document: Request | Told | Reply) -> bytes:
    """Write a document as one packet."""
    return msgspec.json.encode(document)


def decode_request(packet: bytes) -> Request:
    """Read what somebody asks for.

    Raises:
        MessageError: It is no request.
    """
    decoded: Request = _decode(packet, Request)
    return decoded


def decode_told(packet: bytes) -> Told:
    """Read what the updater or its refresh process says.

    Raises:
        MessageError: It is none of that.
    """
    decoded: Told = _decode(packet, Told)
    return decoded


def decode_reply(packet: bytes) -> Reply:
    """Read the answer to a file that was asked for.

    Raises:
        MessageError: It is none.
    """
    decoded: Reply = _decode(packet, Reply)
    return decoded


def _decode(packet: bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(packet, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MessageError(str(exc)) from exc
