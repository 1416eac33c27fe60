"""What ``state.db`` keeps beside slots and history, as values. Pure."""

from dataclasses import dataclass

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
    """Of its trial; only time in which the daemon ran and the version was there to answer."""
    daemon_starts: int = 0
    """Starts of the daemon after ends that nobody asked for, since it last ran for a while (``edged.daemon.lifecycle.crash_loop``)."""
    has_ended_cleanly: bool = False
    """The daemon was told to stop, so that its next start is not held against the version."""
    baseline: Record | None = None
    """What the version before had done until the activation; None when there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """The last good document of its name that the daemon took from the store."""

    name: str
    """``stop``, ``flags``, ``policy``, ``rollout`` or ``standing``."""
    digest: Digest
    """SHA-256 of ``data``."""
    data: bytes
    taken_unix_s: float
