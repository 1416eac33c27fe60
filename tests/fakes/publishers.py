"""``edge-publish`` killed by the kernel right before any one of the system calls by which it changes files (``tests.fakes.syscalls``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.syscalls import Run, Traced, traced


class Publisher:
    """Runs ``edge-publish``."""

    def __init__(self, server: Traced) -> None:
        self._server = server

    def run(self, *arguments: object, watched: Path | None = None, kill_at: int | None = None) -> Run:
        """Run it with absolute paths, and kill it before the ``kill_at``-th call (from 0) that changes ``watched``."""
        return self._server.run(*arguments, watched=() if watched is None else (watched,), kill_at=kill_at)


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Start the server for as long as the context lasts."""
    with traced("edged.publish.main") as server:
        yield Publisher(server)
