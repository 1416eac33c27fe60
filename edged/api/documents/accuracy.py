"""What apps say of a model's answers, ``/edged/v1/models/{model}/accuracy``: schema version 1. Pure."""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document

ACCURACY_PATH: Final = "/edged/v1/models/{model}/accuracy"

AccuracyWord = Literal["ok", "degraded"]
"""How a model's answers do, as apps say."""


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
