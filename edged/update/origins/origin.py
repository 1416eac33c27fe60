"""What a repository's files are read from: a host behind the gate (``fetcher.Host``), or a directory somebody brings (``stick.Stick``).

Neither is trusted. Where a file comes from changes nothing about what is checked.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A body that is being received.

    ``start`` is the offset of its first byte in the file; ``total`` is the file's size as the origin tells it, if it does.
    """

    start: int
    total: int | None
    blocks: Iterator[bytes]


class Origin(Protocol):
    """Where files of one repository come from. Blocking."""

    def open(
        self, url: str, *, first_byte: int | None = None, last_byte: int | None = None
    ) -> AbstractContextManager[Stream]:
        """Request a file, or a range of it; the body is received while the context is open.

        Args:
            url: Absolute.
            first_byte: Where the range starts; None asks for the whole file. It may be ignored: look at ``Stream.start``.
            last_byte: The last byte of the range, inclusive.

        Raises:
            HostUnreachableError: Nothing will come from here any more.
            FileMissingError: There is no such file.
            FetchError: It cannot be had otherwise.
        """
        ...

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Fetch a whole small file.

        Raises:
            DownloadLengthMismatchError: It has more than ``max_bytes`` bytes; python-tuf's own class, as its updater expects.
            FetchError: As ``open``.
        """
        ...
