"""What the updater is doing, as a document that the daemon and people read. Pure."""

from enum import StrEnum
from typing import Literal, Protocol

from edged.codec import Document


class Phase(StrEnum):
    """What the updater does now."""

    UNCONFIGURED = "unconfigured"
    """No repository is set."""
    IDLE = "idle"
    """Waiting for the next poll; the last one succeeded."""
    POLLING = "polling"
    DOWNLOADING = "downloading"
    STAGING = "staging"
    """Hashing from disk and publishing into the store."""
    DEFERRED = "deferred"
    """All is well, but bundles wait for something that is to come by itself; ``deferred`` says for what."""
    WAITING = "waiting"
    """The last poll failed; ``error`` says why, ``next_poll_at`` when it is tried again at the latest."""


TimeSource = Literal["system", "package", "signed"]
"""What tells the time that expiry is judged by: the system's clock; or, where that is behind, the build of this package or the newest
time in a signed document (``edged.update.freshness.now``)."""

Cause = Literal["max-bytes", "max-bytes-per-day", "metered"]
"""Why bundles wait: the setting of ``[update]`` that says so."""


class UpdateError(Document, frozen=True, kw_only=True):
    """Why the last poll failed; ``code`` is one of ``edged.errors``."""

    code: str
    message: str
    hint: str = ""
    failures: int
    """Polls that failed in a row."""


class Progress(Document, frozen=True, kw_only=True):
    """A bundle under way."""

    model: str
    version: str
    received_bytes: int
    """Of its files, how many bytes are here and right."""
    total_bytes: int
    number: int = 1
    """Of the bundles that this refresh brings, counted from 1."""
    count: int = 1
    """How many those are."""
    source: str = ""
    """Where bytes come from now: a word such as ``host``; empty while none do."""
    bytes_per_s: float | None = None
    """Over the last seconds; None while too little is known."""
    left_s: float | None = None
    """Seconds until the bundle is here, at that rate."""


class Deferred(Document, frozen=True, kw_only=True):
    """Why bundles are not fetched now although nothing failed. Documents and stops come all the same."""

    cause: Cause
    message: str
    until: float | None = None
    """Unix seconds; None when nobody knows."""


class Report(Protocol):
    """Told what an update is doing; also the sign of progress."""

    def __call__(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take note."""
        ...


class UpdateStatus(Document, frozen=True, kw_only=True):
    """``/run/edged-update/status.json``. Times are Unix seconds."""

    schema: Literal[1] = 1
    phase: Phase
    repository: str
    changed_at: float
    last_success_at: float | None = None
    next_poll_at: float | None = None
    error: UpdateError | None = None
    deferred: Deferred | None = None
    progress: Progress | None = None
    time_source: TimeSource = "system"
