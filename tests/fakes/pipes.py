"""A pipe in place of a file, as a shell makes one of ``<(command)``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def piped(data: bytes) -> Iterator[Path]:
    """Name a pipe that has these bytes, no more of them than a pipe holds, and ends after them."""
    ours, theirs = os.pipe()
    try:
        os.write(theirs, data)
        os.close(theirs)
        yield Path(f"/dev/fd/{ours}")
    finally:
        os.close(ours)
