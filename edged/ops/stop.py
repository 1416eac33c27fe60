"""The stop document: models that must not answer, signed by the stop role, which can do nothing else. Pure.

It holds from the moment a device has seen it, across restarts and offline, until a document with a higher serial says otherwise.
"""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN, Version
from edged.ops.segments import Issued

MAX_STOP_BYTES: Final = 1 << 18

StopAction = Literal["refuse", "fall-back"]
"""``refuse``: every request is refused. ``fall-back``: what the manifest's fallback rules say, and refused when they say nothing."""


class Stop(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One model that is stopped."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    since: Issued
    versions: tuple[Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)], ...] = ()
    """Only these; empty means every version there is or will be."""
    action: StopAction = "refuse"

    def covers(self, version: Version) -> bool:
        """Tell whether a version is stopped."""
        return not self.versions or str(version) in self.versions


class Lease(Document, frozen=True, kw_only=True):
    """A model that may answer only as long as the device has seen a fresh timestamp lately."""

    hours: Annotated[float, msgspec.Meta(gt=0)]
    action: StopAction = "fall-back"


ModelKey = Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]


class Stops(Document, frozen=True, kw_only=True):
    """``stop/stop.json``."""

    schema: Literal[1]
    issued: Issued
    serial: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    """One higher with each document."""
    models: dict[ModelKey, Stop]
    leases: dict[ModelKey, Lease] = msgspec.field(default_factory=dict)
