"""The rollout document: which version of each model devices should run, signed by the ops role. Pure."""

from typing import Annotated, Literal

import msgspec

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN

MAX_ROLLOUT_BYTES = 1 << 20


class RolloutEntry(Document, frozen=True, kw_only=True):
    """The version of one model that devices should run."""

    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]


class Rollout(Document, frozen=True, kw_only=True):
    """``ops/rollout.json``; ``issued`` is RFC 3339 in UTC."""

    schema: Literal[1]
    issued: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$(?!\n)")]
    models: dict[Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)], RolloutEntry]
