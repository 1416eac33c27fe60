"""One poll: is there anything to do? If so, a process of its own does it.

A refresh is run

(1) at the first poll, because what happened to the store since the last one is not known
(2) after one that left something undone
(3) when somebody asks for it (SIGUSR1)
(4) when some metadata has expired, a bundle is to be hashed again, or what was put off may be done
(5) when the host's timestamp is not certainly the one that the last refresh trusted

and otherwise what the last one found still holds. So new root metadata is noticed with the next new timestamp, and what somebody changed
by hand, in the store or in the file of the trusted root, with the next refresh, a day later at the most.

The host is asked in each poll interval, whatever else goes on (``edged.update.lookout``): while a refresh runs, from the host or from a
stick (``edged.update.service.watches``), and while a failed one waits to be tried again.
"""

import logging
import socket
from collections.abc import Callable
from typing import Protocol

from edged.config.schema import Config
from edged.update.freshness.timestamp import claimed_version
from edged.update.lookout.lookout import Lookout
from edged.update.protocol.messages import Finding, Settled, Task
from edged.update.protocol.phases import Report
from edged.update.service.talk import Watch
from edged.update.service.watches import HostWatch, StickWatch

LOG = logging.getLogger(__name__)


class Refreshes(Protocol):
    """What runs a refresh; ``edged.update.service.child.RefreshProcess.run``."""

    def __call__(
        self, task: Task, report: Report, watch: Watch, stick: socket.socket | None = None, /
    ) -> Finding | None:
        """Run one to its end; None when the watch ended it."""
        ...


class Poller:
    """Polls one repository.

    Args:
        config: Handed on to each refresh.
        lookout: At the host.
        refresh: Runs a refresh.
        now_unix_s: The time to judge expiry by.
        saw_fresh: Told that time whenever the host has shown, or confirmed, a timestamp that is trusted and not expired.
    """

    def __init__(
        self,
        *,
        config: Config,
        lookout: Lookout,
        refresh: Refreshes,
        now_unix_s: Callable[[], float],
        saw_fresh: Callable[[float], None],
    ) -> None:
        self._config = config
        self._lookout = lookout
        self._refresh = refresh
        self._now_unix_s = now_unix_s
        self._saw_fresh = saw_fresh
        self._found = Finding(checked_unix_s={})  # (1) nothing is settled

    def poll(self, report: Report, *, is_asked_for: bool) -> Finding:
        """Find out whether the store is up to date, and bring it up to date when it is not.

        Args:
            report: Told what a refresh does.
            is_asked_for: Somebody wants to see it done.

        Raises:
            StopAskedError: The process was told to stop.
        """
        settled = self._found.settled
        if settled is None or is_asked_for or not self._holds(settled):  # (2), (3)
            self._keep(self._run(report))
        return self._found

    def apply(self, stick: socket.socket, report: Report) -> Finding:
        """Bring the store up to date with what somebody brings.

        Args:
            stick: Where the refresh asks for files (``edged.update.origins.stick``).
            report: Told what it does.

        Raises:
            StopAskedError: The process was told to stop.
        """
        while (found := self._refresh(self._task(), report, StickWatch(self._lookout, self._look), stick)) is None:
            LOG.info("The host has a newer timestamp, which is looked at first")
            self._look()
        return self._keep(found)

    def has_news(self) -> bool:
        """Tell whether the host has a timestamp that no refresh has gone by, but for looks: reason to try again before its time.

        A host that was away and is back counts as having one.

        Raises:
            StopAskedError: The process was told to stop.
        """
        before = self._lookout.host_has
        now = self._lookout.ask(before)
        return claimed_version(now) > 0 and now != before

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again."""
        return self._lookout.wait_s()

    def _run(self, report: Report) -> Finding:
        watch = HostWatch(self._lookout, self._look)
        while (found := self._refresh(self._task(), report, watch)) is None:
            LOG.info("The host has a newer timestamp: the refresh begins again")
            watch = HostWatch(self._lookout, self._look)
        if found.settled is not None:
            self._lookout.host_has = found.settled.timestamp
        elif self._lookout.host_has and watch.went_by:
            # Bundles of what only a look has gone by are still to be brought. A host that is away stays one that is to come back.
            self._lookout.host_has = watch.went_by
        return found

    def _look(self) -> Finding | None:
        """Run a light refresh; whatever runs beside it shows how far it is itself."""
        self._lookout.note_look()
        task = Task(config=self._config, checked_unix_s={}, brings_bundles=False)
        found = self._refresh(task, lambda *_: None, HostWatch(self._lookout, self._look))
        if found is not None:
            self._note(found)
            if found.failure is not None:
                LOG.info("What is new at the host is not all here: %s", found.failure.describe())
        return found

    def _task(self) -> Task:
        return Task(config=self._config, checked_unix_s=self._found.checked_unix_s)

    def _keep(self, found: Finding) -> Finding:
        self._note(found)
        self._found = found
        return found

    def _note(self, found: Finding) -> None:
        if found.is_stop_sensitive is not None:
            self._lookout.is_stop_sensitive = found.is_stop_sensitive

    def _holds(self, settled: Settled) -> bool:
        now_s = self._now_unix_s()
        if now_s >= settled.due_unix_s or self._lookout.ask(settled.timestamp) != settled.timestamp:  # (4), (5)
            return False
        self._saw_fresh(now_s)
        return True
