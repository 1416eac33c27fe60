"""The status document, ``/edged/v1/status`` and ``edgectl status --json``: schema version 1."""

from typing import Final, Literal

from edged.api.documents.background import BackgroundStatus
from edged.api.documents.decisions import DecisionStatus
from edged.codec import Document
from edged.ops.rollout import Rule
from edged.update.protocol.phases import UpdateStatus

STATUS_PATH: Final = "/edged/v1/status"


class SlotStatus(Document, frozen=True, kw_only=True):
    """One of a model's two slots."""

    slot: Literal["a", "b"]
    state: str
    """A member of ``edged.store.slots.SlotState``."""
    version: str | None = None
    digest: str | None = None
    """SHA-256 of the bundle's manifest."""
    variant: str | None = None
    reason: str | None = None
    """Why the slot is bad, when it is."""
    changed_at: float
    """Unix seconds of the last move."""


class Refusal(Document, frozen=True, kw_only=True):
    """A bundle this device will not run, and why."""

    version: str
    digest: str
    reason: str
    at: float
    """Unix seconds."""


DeviceState = Literal["serving", "idle", "degraded"]
"""``idle`` has no model; ``degraded`` has a model that is refused, failed, rolled back or stopped."""

ModelState = Literal["absent", "serving", "loading", "refused", "failed", "stopped", "fallback"]
"""``absent``: a rollout names it, and this device has not had any version yet. ``stopped``: the publisher says so. ``fallback``: a rule of
the manifest answers in the model's place."""


class RolloutStatus(Document, frozen=True, kw_only=True):
    """What the signed rollout means for this device; ``edged.ops.rollout.RolloutDecision``."""

    version: str | None
    """What should run here; None: nothing."""
    rule: Rule
    reason: str
    floor: str | None = None
    """Versions below are not activated."""


class ShadowStatus(Document, frozen=True, kw_only=True):
    """How a candidate does in the shadow of the active version; counts are since the daemon started."""

    reason: str
    """What is waited for, in words."""
    began_at: float
    """Unix seconds."""
    share: float
    """Of the apps' requests, how many it is asked, too."""
    requests: int
    """That it has dealt with."""
    failures: int
    """Of those, that it failed."""
    agreed: int
    """Of those, that it answered as the active version did."""
    agreement: float | None
    """The share of its answers that are like those of the active version."""
    shed: int
    """Requests that it was not asked although they were chosen, because there was no room for them."""
    worker_losses: int
    active_p95_ms: float | None
    """95 % of the active version's runs took up to so long, for the same requests; None while nothing is known."""
    p95_ms: float | None
    """Likewise, the candidate's."""
    left_s: float
    """Until it goes on if nothing speaks against it, however few requests there were."""


class CandidateStatus(Document, frozen=True, kw_only=True):
    """A version that is in the store and not yet active."""

    version: str
    waiting_for: tuple[str, ...]
    """What the quiet window waits for; empty while it is being validated or in the shadow."""
    since: float
    """Unix seconds."""
    shadow: ShadowStatus | None = None
    """None unless it is in the shadow of the active version."""


class TrialStatus(Document, frozen=True, kw_only=True):
    """How the trial of the active version goes."""

    reason: str
    """What is waited for, in words."""
    began_at: float
    """Unix seconds."""


class StopStatus(Document, frozen=True, kw_only=True):
    """Why a model does not answer."""

    reason: str
    since: str
    action: Literal["refuse", "fall-back"]
    source: Literal["stop", "lease"]


class WorkerStatus(Document, frozen=True, kw_only=True):
    """The process that runs a model, and what happened since the model was activated or the daemon started."""

    pid: int | None
    """None while it is being replaced."""
    restarts: int
    requests: int
    """Requests that were taken."""
    failures: int
    """Of those, how many failed through no fault of the caller, missed deadlines included."""
    queued: int = 0
    """Requests that wait now."""
    running: int = 0
    """Requests that the process has now."""
    unconfined: tuple[str, ...] = ()
    """Why parts of the process's sandbox are missing on this device; empty when it is whole."""


VariantState = Literal["answers", "loaded", "loading", "unloaded", "unusable"]
"""``answers``: requests that name no variant, and those that its decision gives it. ``loaded``: it could at once."""


class VariantStatus(Document, frozen=True, kw_only=True):
    """One variant of the active version, on this device."""

    id: str
    tier: str
    precision: str
    state: VariantState
    reasons: tuple[str, ...] = ()
    """Why it is not usable."""
    requests_wait: bool = False
    """It is being loaded, and nothing answers until then, because memory is for one variant only."""
    p95_ms: float | None = None
    """95 of 100 of its latest runs took up to so long; None while too few are known."""
    memory_bytes: int | None = None
    """The most that its worker was seen to need; None while nobody knows."""
    joules: float | None = None
    """Of one run, on average over the last days; None while too few are measured."""
    watts: float | None = None
    """Likewise: what the device draws more than idle while one run is under way."""
    stated_watts: float | None = None
    """What the manifest states of that; None where it does not."""


class ModelStatus(Document, frozen=True, kw_only=True):
    """One model: what answers, what is in its slots, what was refused."""

    name: str
    state: ModelState
    active: Literal["a", "b"] | None = None
    slots: tuple[SlotStatus, ...]
    refused: tuple[Refusal, ...] = ()
    worker: WorkerStatus | None = None
    needs_review: bool = False
    """True after a refusal or a rollback, until a newer version is good."""
    rollout: RolloutStatus | None = None
    """None when no rollout names the model."""
    candidate: CandidateStatus | None = None
    trial: TrialStatus | None = None
    stop: StopStatus | None = None
    fallback: str | None = None
    """What answers in the model's place, in words, while something does."""
    variants: tuple[VariantStatus, ...] = ()
    """Of the active version, best for this machine first."""
    decision: DecisionStatus | None = None
    """What becomes of requests that somebody waits for; None while no version is active."""
    background: BackgroundStatus | None = None
    """Background requests that are kept until they may run; None where there never were any."""


class DeviceStatus(Document, frozen=True, kw_only=True):
    """What rollouts and flags know this device by."""

    id: str
    arch: str
    labels: dict[str, str]


class RefusedReload(Document, frozen=True, kw_only=True):
    """A reload that changed nothing, because settings or policies have a mistake."""

    at: float
    """Unix seconds."""
    problems: tuple[str, ...]
    """``file: key: expected, got``, each."""


class Status(Document, frozen=True, kw_only=True):
    """The whole device."""

    schema: Literal[1] = 1
    edged: str
    """Version of edged."""
    state: DeviceState
    started_at: float
    """Unix seconds."""
    models: tuple[ModelStatus, ...]
    update: UpdateStatus | None = None
    """What edged-update last reported; None when it has not run since boot."""
    device: DeviceStatus | None = None
    """None where this device has no ID."""
    refused_policies: tuple[str, ...] = ()
    """What is wrong with policies that should be in force; the last good ones are."""
    refused_reload: RefusedReload | None = None
    """The last reload, where it was refused: settings are as they were before."""

    @property
    def has_refusals(self) -> bool:
        """Whether settings or policies that should be in force are not."""
        return bool(self.refused_policies) or self.refused_reload is not None
