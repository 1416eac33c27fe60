"""What edged's own endpoints take and give beside the status: schema version 1."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, get_args

import msgspec

from edged.api.ports import AccuracyWord, ModelView
from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN
from edged.ops.flags import FlagValue
from edged.pipeline.spec import TensorSpec

ACCURACY_PATH: Final = "/edged/v1/models/{model}/accuracy"
CONTEXT_PATH: Final = "/edged/v1/context"
EVENTS_PATH: Final = "/edged/v1/events"
FLAGS_PATH: Final = "/edged/v1/flags"
HISTORY_PATH: Final = "/edged/v1/history"
ROLLBACK_PATH: Final = "/edged/v1/update/rollback"
APPLY_PATH: Final = "/edged/v1/update/apply"
DEFAULT_ENTRIES: Final = 50
"""Of a history, when nobody says how many."""
MOST_ENTRIES: Final = 1000


EventType = Literal["context", "decision", "slot", "history", "update"]
"""``context``: a word of the device's context is another one; ``decision``: requests of some kind are decided otherwise; ``slot``: a slot
of a model moved; ``history``: anything else that is kept in the device's history; ``update``: the updater does something else."""
EVENT_TYPES: Final[tuple[EventType, ...]] = get_args(EventType)


class ModelEntry(Document, frozen=True, kw_only=True):
    """A model that answers requests."""

    name: str
    version: str
    variant: str
    platform: str
    ready: bool
    inputs: tuple[TensorSpec, ...]
    raw_inputs: tuple[TensorSpec, ...]
    """The model's own inputs, for apps that do the pre-processing themselves."""
    outputs: tuple[TensorSpec, ...]


class ModelList(Document, frozen=True, kw_only=True):
    """Every model with an active version, sorted by name."""

    schema: Literal[1] = 1
    models: tuple[ModelEntry, ...]


class FlagsDocument(Document, frozen=True, kw_only=True):
    """All flags."""

    schema: Literal[1] = 1
    flags: Mapping[str, FlagValue]
    """Values by name; empty when the fleet has no flags, or this device has not heard of any."""


class FlagDocument(Document, frozen=True, kw_only=True):
    """One flag."""

    schema: Literal[1] = 1
    name: str
    value: FlagValue


ModelKey = Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]


class Rollback(Document, frozen=True, kw_only=True):
    """Turn the active version of a model down, and have the one before it answer again."""

    model: ModelKey
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """For the device's history; the version is not tried again by itself."""


class Apply(Document, frozen=True, kw_only=True):
    """Let a model's candidate go on at once, whatever the quiet window says, and also if it was turned down."""

    model: ModelKey
    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)] | None = None
    """Only this one; without it, what the rollout names."""


class Switched(Document, frozen=True, kw_only=True):
    """What came of it: the version that answers from now on, or that is tried next."""

    schema: Literal[1] = 1
    model: str
    version: str


class AccuracyHint(Document, frozen=True, kw_only=True):
    """What an app says of a model's answers."""

    accuracy: AccuracyWord
    for_s: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 600.0
    """How long that counts, in seconds, unless the same user says something else before."""


class AccuracyTaken(Document, frozen=True, kw_only=True):
    """What counts from now on."""

    schema: Literal[1] = 1
    model: str
    accuracy: AccuracyWord
    for_s: float


def list_models(views: Sequence[ModelView]) -> ModelList:
    """Describe models for edged's own endpoint."""
    return ModelList(models=tuple(_entry(view) for view in views))


def _entry(view: ModelView) -> ModelEntry:
    return ModelEntry(
        name=view.name,
        version=str(view.version),
        variant=view.variant,
        platform=view.platform,
        ready=view.is_ready,
        inputs=tuple(view.inputs),
        raw_inputs=tuple(view.raw_inputs),
        outputs=tuple(view.outputs),
    )
