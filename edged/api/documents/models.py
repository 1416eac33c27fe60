"""The models that answer, ``/edged/v1/models``: schema version 1. Pure."""

from typing import Literal

import msgspec

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
    least_scale: float | msgspec.UnsetType = msgspec.UNSET
    """The smallest share of the full size that the model's input may have, where that is not all of it."""


class ModelList(Document, frozen=True, kw_only=True):
    """Every model with an active version, sorted by name."""

    schema: Literal[1] = 1
    models: tuple[ModelEntry, ...]
