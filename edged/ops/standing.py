"""What a repository's trusted metadata says about every model beside its documents, as the updater keeps it for the daemon. Pure."""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN, Version

MAX_STANDING_BYTES: Final = 1 << 18
REFRESHED_EVERY_S: Final = 600.0
"""``seen_unix_s`` is written again at most so often: each time costs a flash memory some life."""


class Standing(Document, frozen=True, kw_only=True):
    """``ops/standing.json`` of the store; written by the updater, signed by nobody."""

    schema: Literal[1] = 1
    seen_unix_s: float
    """When the repository's timestamp was last seen to be fresh, by the time that expiry is judged by."""
    floors: dict[
        Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)],
        Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)],
    ] = msgspec.field(default_factory=dict)
    """The lowest version of each model that may be activated, as its own role says (``min_version`` in the ``custom`` part of its
    targets); the highest one counts, and it never becomes lower."""

    def above(self, older: "Standing") -> "Standing":
        """Return this with the higher of both floors of each model; the time is this one's."""
        floors = dict(older.floors)
        for name, version in self.floors.items():
            if name not in floors or Version.parse(version) > Version.parse(floors[name]):
                floors[name] = version
        return Standing(seen_unix_s=self.seen_unix_s, floors=floors)
