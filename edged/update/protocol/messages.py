"""What the updater's process and the refresh process say to each other, as documents of one line each. Pure.

The updater sends one ``Task``; the refresh sends a ``Step`` now and then, each ``Milestone`` when it is reached, and one ``Finding`` at its
end.
"""

import msgspec

from edged.codec import Document
from edged.config.schema import Config
from edged.errors import EdgedError
from edged.ids import Digest
from edged.update.protocol.phases import Deferred, Phase, Progress

MAX_TEXT = 4096
"""Longest message or hint of a failure; one of a manifest could be as long as the manifest."""


class MessageError(ValueError):
    """What came is no message of the other process."""


class Task(Document, frozen=True, kw_only=True):
    """What to do."""

    config: Config
    checked_unix_s: dict[Digest, float]
    """When each installed bundle was last hashed, by the digest of its manifest."""
    brings_bundles: bool = True
    """False for a refresh that brings metadata and documents only, and finds out which blobs are wanted."""


class Step(Document, frozen=True, kw_only=True, tag="step"):
    """What the refresh does now; also the sign that it moves."""

    phase: Phase
    progress: Progress | None = None


class Trusted(Document, frozen=True, kw_only=True, tag="trusted"):
    """The timestamp that this refresh trusts, and with it the device."""

    timestamp: bytes


class Planned(Document, frozen=True, kw_only=True, tag="planned"):
    """From now on this refresh neither reads nor writes metadata and documents: another one may, beside it."""


class Fetching(Document, frozen=True, kw_only=True, tag="fetching"):
    """The blob that is obtained now."""

    blob: Digest


Milestone = Trusted | Planned | Fetching


class Failure(Document, frozen=True, kw_only=True):
    """Why a refresh did not bring everything."""

    code: str
    message: str
    hint: str = ""
    subject: str = ""
    """``MODEL VERSION`` or the path of a document; empty when the repository as a whole failed."""
    is_for_publisher: bool = False
    """Nothing on this device or the network is wrong; asking more slowly would only delay the repaired bundle."""

    def describe(self) -> str:
        """Return the sentence for people."""
        return f"{self.subject}: {self.message}" if self.subject else self.message


class Settled(Document, frozen=True, kw_only=True):
    """Until when another refresh would find the same: as long as the host has this timestamp, but no longer than ``due_unix_s``."""

    timestamp: bytes
    due_unix_s: float
    """When some metadata expires, a bundle is to be hashed again, or what is put off may be done."""


class Finding(Document, frozen=True, kw_only=True, tag="finding"):
    """How a refresh ended."""

    failure: Failure | None = None
    settled: Settled | None = None
    """None when something is left to be done."""
    staged: tuple[str, ...] = ()
    """``MODEL VERSION`` of each bundle that is new in the store."""
    deferred: Deferred | None = None
    is_stop_sensitive: bool | None = None
    """Whether the flag of that name is on here (``edged.ops.flags``); None when the refresh did not come so far."""
    wanted: tuple[Digest, ...] | None = None
    """Every blob that is wanted here; None when the refresh does not know them all."""
    has_brought: bool = False
    """Whether bytes of bundles came that are right and were not here before, all of a bundle or a part."""
    checked_unix_s: dict[Digest, float]


def failure_of(error: EdgedError, *, subject: str = "", is_for_publisher: bool = False) -> Failure:
    """Describe an error."""
    return Failure(
        code=error.code,
        message=_short(error.message),
        hint=_short(error.hint),
        subject=subject,
        is_for_publisher=is_for_publisher,
    )


def encode(message: Task | Step | Milestone | Finding) -> bytes:
    """Write a message as one line; JSON has no line breaks inside."""
    return msgspec.json.encode(message) + b"\n"


def decode_task(line: bytes) -> Task:
    """Read what the updater sends.

    Raises:
        MessageError: It is no task.
    """
    try:
        return msgspec.json.decode(line, type=Task)
    except msgspec.DecodeError as exc:
        raise MessageError(str(exc)) from exc


def decode_answer(line: bytes) -> Step | Milestone | Finding:
    """Read what the refresh sends.

    Raises:
        MessageError: It is nothing of that kind.
    """
    try:
        return msgspec.json.decode(line, type=Step | Milestone | Finding)
    except msgspec.DecodeError as exc:
        raise MessageError(str(exc)) from exc


def _short(text: str) -> str:
    # Names out of a host's JSON can hold halves of characters, which no document can.
    whole = text.encode(errors="replace").decode()
    return whole if len(whole) <= MAX_TEXT else f"{whole[: MAX_TEXT - 3]}..."
