"""What ``state.db`` keeps beside slots and history, as values. Pure."""

from dataclasses import dataclass
from operator import add

from edged.ids import Digest, ModelName, SlotName, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A bundle this device tried and will not try again by itself."""

    model: ModelName
    version: Version
    digest: Digest
    reason: str
    at_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a version did to the requests of apps."""

    requests: int = 0
    """That were finished, well or not; those that were the caller's fault or whose caller left do not count."""
    failures: int = 0
    """Of those, that the model or its worker failed."""
    late: int = 0
    """Of those, whose deadline passed."""
    p95_ms: tuple[float, float] | None = None
    """Of the time from submission to answer: it is above the first and not above the second. None with no requests."""
    worker_losses: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a version did to the requests of apps, as it was counted: those of several lives of the daemon can be added up."""

    requests: int = 0
    """As for ``Record``, and so are the others."""
    failures: int = 0
    late: int = 0
    worker_losses: int = 0
    durations: tuple[int, ...] = ()
    """Requests, whatever became of them, that took no longer than each fine bound of their histogram, and at last all."""

    @property
    def troubles(self) -> int:
        """Everything in it that may speak against the version."""
        return self.failures + self.late + self.worker_losses

    def plus(self, other: "Counts") -> "Counts":
        """Return both together. What this has of durations by other bounds, as another edged counted them, is left out."""
        is_alike = len(self.durations) == len(other.durations)
        both = tuple(map(add, self.durations, other.durations)) if is_alike else other.durations
        return Counts(
            requests=self.requests + other.requests,
            failures=self.failures + other.failures,
            late=self.late + other.late,
            worker_losses=self.worker_losses + other.worker_losses,
            durations=both,
        )


Place = tuple[ModelName, SlotName]
"""One slot of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTrial:
    """The candidate in a slot, or its trial: what has to survive the daemon, so that neither is begun anew by each restart."""

    version: Version
    digest: Digest
    began_unix_s: float
    """Wall clock of its last step: written to a slot, or activated."""
    watched_s: float = 0.0
    """Of its shadow run, and then of its trial; only time in which the daemon ran and the version was there to answer."""
    daemon_starts: int = 0
    """Starts of the daemon after ends that nobody asked for, since it last ran for a while (``edged.daemon.lifecycle.crash_loop``)."""
    has_ended_cleanly: bool = False
    """The daemon was told to stop, so that its next start is not held against the version."""
    baseline: Record | None = None
    """What the version before had done until the activation; None when there was none."""
    seen: Counts = Counts()
    """What it has done in its trial, as it was last written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVariant:
    """What this device has learned about one variant of a version."""

    digest: Digest
    """Of the version's manifest."""
    id: str
    has_passed: bool = False
    """It has run its validation kit here, and passed."""
    runs: tuple[int, ...] = ()
    """How many of its latest runs took how long, by the buckets of ``edged.telemetry.serving``."""
    memory_bytes: int | None = None
    """The most that was needed; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """The last good document of its name that the daemon took from the store."""

    name: str
    """``stop``, ``flags``, ``policy``, ``rollout`` or ``standing``."""
    digest: Digest
    """SHA-256 of ``data``."""
    data: bytes
    taken_unix_s: float
