"""Where one refresh gets everything from: a host behind the gate, or a directory that somebody brings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.update.origins.origin import Origin

if TYPE_CHECKING:
    from edged.update.download.ways import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where one refresh gets everything from.

    Args:
        origin: What the repository's files are read from.
        url: The repository, with a slash at its end.
        name: The word for it, for people.
        ways: Other ways to obtain blobs than the repository's own files.
        is_metered: Tells whether bytes cost money; None where that is not known.
    """

    origin: Origin
    url: str
    name: str = "host"
    ways: "Sequence[Way]" = ()
    is_metered: Callable[[], bool | None] = lambda: None
