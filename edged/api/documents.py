"""What ``/edged/v1/models`` and ``edgectl models --json`` say: schema version 1."""

from collections.abc import Sequence
from typing import Literal

from edged.api.ports import ModelView
from edged.codec import Document
from edged.pipeline.spec import TensorSpec


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
