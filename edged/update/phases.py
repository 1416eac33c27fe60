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
    WAITING = "waiting"
    """The last poll failed; ``error`` says why, ``next_poll_at`` when it is tried again."""


class UpdateError(Document, frozen=True, kw_only=True):
    """Why the last poll failed; ``code`` is one of ``edged.errors``."""

    code: str
    message: str
    hint: str = ""
    failures: int
    """Polls that failed in a row."""


class Progress(Document, frozen=True, kw_only=True):
    """A download under way."""

    model: str
    version: str
    received_bytes: int
    total_bytes: int


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
    progress: Progress | None = None
