"""What the API needs from the rest of the daemon, as protocols; the composition root hands in what fulfils them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from edged.api.documents.accuracy import AccuracyWord
from edged.api.documents.decisions import DecisionChange, DecisionStatus
from edged.api.documents.policy import ExplanationDocument, GivenValue, OverrideStatus, PolicyDocument
from edged.api.documents.status import Status
from edged.bundle.fallback import FallbackUse
from edged.callers.caller import Caller
from edged.ids import ModelName, Version
from edged.ops.flags import FlagValue
from edged.pipeline.spec import TensorSpec
from edged.policy.document import Then
from edged.runtime.calls import Call, Segment
from edged.runtime.tensors import InferResult
from edged.select.decision import Decision
from edged.sense.assemble import Sensor
from edged.sense.context import Context
from edged.store.history import Entry
from edged.telemetry.serving import ServingStats


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model as an app sees it.

    ``inputs`` are what the pipeline takes and ``outputs`` what it gives; ``raw_inputs`` are the model's own inputs, which an app may
    send instead of ``inputs`` when it has done the pre-processing itself.
    """

    name: ModelName
    version: Version
    variant: str
    platform: str
    """``onnxruntime_onnx``, as Triton names it."""
    inputs: Sequence[TensorSpec]
    raw_inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    is_ready: bool
    state_inputs: frozenset[str] = frozenset()
    """Inputs that edged fills in for requests of a sequence, which may leave them out."""
    max_rows: int = 0
    """Most rows (first axis) of one run that requests may share; 0 when each runs alone."""
    least_scale: float = 1.0
    """The smallest share of the full sizes to which ``inputs`` may be brought before the model; 1 where they cannot be made smaller."""
    fallback: FallbackUse | None = None
    """The rule of the manifest by which this answers in the model's place (``edged.bundle.fallback``); None for the model itself."""


@dataclass(slots=True, kw_only=True)
class Taken:
    """What is said about a request that was taken, beside its outputs. Whoever acts on the request later keeps it true."""

    model: ModelView
    """What answers."""
    decision: Decision | None = None
    """None where no rule decides: of a model that has a stand-in."""
    is_offloaded: bool = False
    """The model's cloud endpoint answers."""
    scale: float | None = None
    """Share of the full sizes that is used for it; None where nobody asked for less."""
    is_cached: bool = False
    """Nothing runs for it: its answer is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An inference and what was decided on the way to it."""

    result: InferResult
    taken: Taken


class Models(Protocol):
    """The models of this device."""

    def views(self) -> Sequence[ModelView]:
        """Return every model with an active version, sorted by name."""
        ...

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model; None means its active version.

        Raises:
            ModelUnknownError: There is none, or the version is not the active one.
        """
        ...

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        """Take memory for a request's body that the model's worker can read without a copy; the caller releases it.

        Raises:
            ModelUnknownError: There is no such model.
            UnavailableError: Other requests use the memory.
        """
        ...

    def submit(self, name: str, version: str | None, call: Call) -> Taken:
        """Take a request, and finish its call later: with the answer, or with an error.

        Args:
            name: The model.
            version: None means the active one.
            call: Its request's inputs were checked against the view by the caller.

        Returns:
            What answers, and what was decided about it; both are final once the call is finished.

        Raises:
            ModelUnknownError: No such model or version.
            UnavailableError: Loading, or the queue is full.
            DeferredError: A rule of the policy lets nothing run now.
            PolicyDeniedError: A rule of the policy denies.
            PoisonError: This request ended two workers.

        What a call may be finished with, beside its result:
            DeadlineError: Its deadline passed, while it waited or while it ran.
            WorkerLostError: The worker ended during this request.
            TensorError: The pipeline or model does not take these values.
            SequenceError: Its sequence is not known to the model's worker, or there are too many.
            UnavailableError: Its model was removed, or has no worker for now.
        """
        ...


class Admission(Protocol):
    """One admitted request's share of its caller's limits."""

    def release(self) -> None:
        """Give it back; to be called once the request is over, whatever became of it."""
        ...


class Quotas(Protocol):
    """What each caller may ask for."""

    def admit(self, caller: Caller, size_bytes: int) -> Admission:
        """Take a request's share of its caller's limits.

        Args:
            caller: Who asks.
            size_bytes: Of the request's body.

        Raises:
            QuotaError: It would be more than the caller may have.
            BodyTooLargeError: It would be, even if the caller had nothing else under way.
        """
        ...


class DecisionSource(Protocol):
    """What policy decides about requests."""

    @property
    def decisions(self) -> tuple[DecisionStatus, ...]:
        """What becomes of every kind of request now, by model."""
        ...

    @property
    def recent(self) -> tuple[DecisionChange, ...]:
        """What changed lately, newest last."""
        ...


class StatusSource(Protocol):
    """Where ``/edged/v1/status`` comes from."""

    def status(self) -> Status:
        """Return the state of the device right now."""
        ...


class FlagsSource(Protocol):
    """The feature flags of the fleet on this device."""

    @property
    def flags(self) -> Mapping[str, FlagValue]:
        """The value of every flag, sorted by name; the same object until one of them changes."""
        ...


class ContextSource(Protocol):
    """The device as it is now."""

    @property
    def current(self) -> Context:
        """The newest context."""
        ...

    @property
    def sensors(self) -> Sequence[Sensor]:
        """The sensors that it is from, one by one."""
        ...


class AccuracyHints(Protocol):
    """Takes what apps say of the answers of models."""

    def say(self, model: str, accuracy: AccuracyWord, *, for_s: float, uid: int) -> None:
        """Take what a user says of a model, for so many seconds.

        Raises:
            UnavailableError: Too many have something to say.
        """
        ...


class Updates(Protocol):
    """What administrators may tell the device about its models. ``by`` names the person: ``operator alice``."""

    async def rollback(self, model: str, *, reason: str, by: str) -> str:
        """Turn the active version down for good and let the one before it answer again; returns that version.

        Raises:
            ModelUnknownError: There is no such model.
            NothingToDoError: There is no proven version to go back to.
            StoreError: The disk refused; nothing changed.
        """
        ...

    async def apply(self, model: str, *, version: str | None, by: str) -> str:
        """Let a model's candidate go on at once, whatever the quiet window says, and also if it was turned down; returns its version.

        Args:
            model: Its name.
            version: Only this one; None takes what the rollout names.
            by: Who says so.

        Raises:
            ModelUnknownError: Neither the rollout nor the store knows the model or the version.
            NothingToDoError: It runs already.
            NotPermittedError: It is below the floor, or stopped.
            StoreError: The disk refused; nothing changed.
        """
        ...

    def history(self, *, model: str, limit: int) -> Sequence[Entry]:
        """Return what happened, newest first; an empty ``model`` means all."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What a model did since the daemon started, and does now."""

    view: ModelView
    stats: ServingStats
    worker_pid: int | None
    """None while it is being replaced."""
    waiting: int
    """Requests in its queue."""
    running: int
    """Requests that its worker has."""
    shared_memory_bytes: int
    """Of all of its segments, in use and free."""
    is_held: bool = False
    """It may not answer: it is stopped, or its lease has run out."""
    fallback_stats: ServingStats = field(default_factory=ServingStats)
    """What was done in its place."""


class UsageSource(Protocol):
    """Where statistics and metrics come from."""

    def usage(self) -> Sequence[ModelUsage]:
        """Return every model with an active version, sorted by name."""
        ...

    def stats(self, name: str) -> ServingStats | None:
        """Return a model's counters, for what is refused before the model hears of it; None where there is no such model."""
        ...


class PolicySource(Protocol):
    """The rules in force, and what they would decide."""

    def describe(self) -> PolicyDocument:
        """Describe all that decides about requests."""
        ...

    def explain(self, *, model: str | None, given: Mapping[str, GivenValue]) -> ExplanationDocument:
        """Say what would be decided, and why.

        Args:
            model: None for every one.
            given: What is to be otherwise than it is.

        Raises:
            ModelUnknownError: No such model.
            RequestError: Something given cannot be read.
        """
        ...


class PolicySteering(Protocol):
    """What administrators may decide in the policy's place. ``by`` names the person: ``operator alice``."""

    async def override(self, model: str, then: Then, *, for_s: float, reason: str, by: str) -> OverrideStatus:
        """Decide about a model for a while, in place of whatever overrides it now.

        Raises:
            ModelUnknownError: No such model.
            RequestError: What is asked for cannot be done.
            StoreError: The disk refused.
        """
        ...

    async def clear(self, model: str | None, *, by: str) -> Sequence[OverrideStatus]:
        """End the override of a model, or all of them; returns what was ended.

        Raises:
            NothingToDoError: There is none.
            StoreError: The disk refused.
        """
        ...
