"""Tells when the updater does something else, from the status document that it replaces.

That it asks the repository is no news: it does so every minute, and events that say nothing would take the places of others among those
that are remembered. What comes of it is.
"""

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from edged.api.event_log import Events
from edged.daemon.fleet.directory_watch import DirectoryWatch
from edged.errors import EdgedError
from edged.update.protocol.phases import Phase, UpdateStatus
from edged.update.protocol.status_file import read_status

LOG = logging.getLogger(__name__)


class UpdateNews:
    """Watches the document while it is entered.

    Args:
        path: Of the document.
        events: Where news are published.
    """

    def __init__(self, path: Path, events: Events) -> None:
        self._path = path
        self._events = events
        self._told: object = None
        self._watch = DirectoryWatch(path.parent, self.look)

    def __enter__(self) -> Self:
        self._watch.__enter__()
        self.look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.__exit__(kind, error, trace)

    def look(self) -> None:
        """Read the document, and tell if it says something else than that the repository is asked, or how far a download is."""
        try:
            status = read_status(self._path)
        except (EdgedError, OSError) as exc:
            LOG.debug("The updater's status cannot be read: %s", exc)
            return
        if status is None or status.phase is Phase.POLLING:
            return
        if (news := _news(status)) != self._told:
            self._told = news
            self._events.publish("update", status)


def _news(status: UpdateStatus) -> object:
    """Return what of a status is news when it changes."""
    progress, error, deferred = status.progress, status.error, status.deferred
    return (
        status.phase,
        None if progress is None else (progress.model, progress.version),
        None if error is None else (error.code, error.message),
        None if deferred is None else (deferred.cause, deferred.until),
    )
