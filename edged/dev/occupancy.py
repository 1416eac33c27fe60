"""A developer's directory belongs to one ``edged dev`` at a time: a second one would write over the settings of the first."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edged.errors import UsageError


@contextmanager
def occupied(directory: Path) -> Iterator[None]:
    """Keep a directory, which is made when it is missing, for this process while the context is open.

    Raises:
        UsageError: Another process keeps it, or it cannot be had.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise UsageError(f"{directory}: {exc.strerror}", hint="Choose another --dir.") from exc
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        hint = "End that one, or choose another --dir."
        raise UsageError(f"another edged dev runs in {directory}", hint=hint) from exc
