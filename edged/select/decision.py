"""What may be decided about a request, and what it depends on beside context, request and policy. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edged.policy.ranked import Origin
from edged.select.matcher import Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a variant was seen to need on this device."""

    latency_s: float | None = None
    """95th percentile of its runs."""
    memory_bytes: int | None = None
    joules: float | None = None
    """Of one run, on average."""
    watts: float | None = None
    """What the device draws more than idle while one run is under way, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incumbent:
    """The variant that a model had last, for the dwell time."""

    variant: str
    rank: int
    """Of the rule that brought it: rules further up have lower ones."""
    since_s: float
    """Monotonic."""
    dwell_s: float
    """Of that rule's policy."""

    @property
    def until_s(self) -> float:
        """From when on a rule further down may bring another; monotonic."""
        return self.since_s + self.dwell_s


class Action(StrEnum):
    """What becomes of a request."""

    RUN = "run"
    OFFLOAD = "offload"
    DEFER = "defer"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of requests of one kind, for as long as the context stays as it is, and why."""

    action: Action
    rule: str
    """The name of the rule that decided."""
    origin: Origin
    rank: int
    """Its place among all rules."""
    variants: tuple[str, ...] = ()
    """Ids of the variants that may answer here, best first; of DEFER and DENY empty. The first is what should be loaded."""
    scale: float = 1.0
    frequency_share: float | None = None
    """Of the processors' highest frequency; None asks for nothing."""
    max_concurrent: int | None = None
    max_rate_per_s: float | None = None
    retry_after_s: float | None = None
    """Of DEFER always; seconds."""
    denial: str = ""
    """Of DENY: why, in the words of the rule."""
    may_offload: bool = False
    """The cloud endpoint may answer when nothing here can."""
    reasons: tuple[str, ...] = ()
    """Why this, in words: the rule and what made it apply, then whatever was changed afterwards (dwell, regulatory mode)."""
    rejected: tuple[Rejected, ...] = ()
    """Each variant that may not answer or comes later, with every reason."""
    incumbent: Incumbent | None = None
    """To be given to the next decision about this model."""
    log: bool = False
    """The regulatory mode asks for this decision to be in the journal."""

    @property
    def variant(self) -> str | None:
        """The variant that should answer."""
        return self.variants[0] if self.variants else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulatory:
    """What the administrator's regulatory mode demands, whatever the policy says."""

    name: str = "standard"
    forbids_offload: bool = False
    logs_decisions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What else a decision depends on, beside context and request."""

    now_s: float
    """Monotonic."""
    unusable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Variants that cannot run here, by id, and every reason (``edged.select.matcher.misfits``, a validation that failed)."""
    measured: Mapping[str, Measured] = field(default_factory=dict)
    incumbent: Incumbent | None = None
    has_endpoint: bool = False
    """There is a cloud endpoint for this model."""
    regulatory: Regulatory = Regulatory()
