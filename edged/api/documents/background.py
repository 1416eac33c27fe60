"""What is told of background requests that are kept until they may run, in the status document. Pure."""

from typing import Final, Literal

from edged.codec import Document

End = Literal["finished", "deadline", "abandoned", "refused"]
"""What became of a request: what the model said, its deadline came while it was kept, its caller left, or there was no room for it."""
ENDS: Final[tuple[End, ...]] = ("finished", "deadline", "abandoned", "refused")


class BackgroundStatus(Document, frozen=True, kw_only=True):
    """The background requests of one model that are kept, and what became of those that were since the daemon started."""

    kept: int
    under_way: int
    """Kept before, and now in the model's queue or in its worker."""
    size_bytes: int
    """Inputs of those that are kept."""
    longest_s: float
    """For how long the oldest has been kept; 0 without any."""
    ended: dict[End, int]
