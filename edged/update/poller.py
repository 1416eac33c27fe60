"""One poll: is there anything to do? If so, a process of its own does it.

A refresh is run

(1) at the first poll, because what happened to the store since the last one is not known
(2) after one that left something undone
(3) when somebody asks for it (SIGUSR1)
(4) when some metadata has expired, a bundle is to be hashed again, or what was put off may be done
(5) when the host's timestamp is not certainly the one that the last refresh trusted

and otherwise what the last one found still holds. So new root metadata is noticed with the next new timestamp, and what somebody changed
by hand, in the store or in the file of the trusted root, with the next refresh, a day later at the most.

What has to be quick, a stop above all, comes with a new timestamp. So the host is asked for one in each poll interval, whatever else goes
on: while a refresh runs, which is then ended and begun again, and while a failed one waits to be tried again.
"""

import logging
import math
import random
import socket
from collections.abc import Callable
from typing import Protocol

from edged.config.schema import Config
from edged.ops.flags import STOP_SENSITIVE_POLL_S
from edged.update.backoff import poll_wait_s
from edged.update.child import Watch
from edged.update.messages import Finding, Settled, Task
from edged.update.phases import Report
from edged.update.timestamp import claimed_version

LOG = logging.getLogger(__name__)


class Asks(Protocol):
    """What asks the host; ``edged.update.question.Question``."""

    def fetch(self, known: bytes) -> bytes | None:
        """Return the bytes of the host's timestamp, true or not; None when nothing is certain."""
        ...


class Refreshes(Protocol):
    """What runs a refresh; ``edged.update.child.RefreshProcess.run``."""

    def __call__(
        self, task: Task, report: Report, watch: Watch, stick: socket.socket | None = None, /
    ) -> Finding | None:
        """Run one to its end; None when the watch ended it."""
        ...


class _Undisturbed:
    """Lets a refresh run to its end: what somebody brings is to come in, whatever the host has."""

    def wait_s(self) -> float:
        return math.inf

    def is_outdated(self, _trusted: bytes) -> bool:
        return False


class Poller:
    """Polls one repository.

    Args:
        config: Handed on to each refresh.
        question: Asks the host; None when no repository is configured.
        refresh: Runs a refresh.
        now_unix_s: The time to judge expiry by.
        saw_fresh: Told that time whenever the host has shown, or confirmed, a timestamp that is trusted and not expired.
        draw: Gives random numbers from 0 up to, not including, 1.
    """

    def __init__(
        self,
        *,
        config: Config,
        question: Asks | None,
        refresh: Refreshes,
        now_unix_s: Callable[[], float],
        saw_fresh: Callable[[float], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._question = question
        self._refresh = refresh
        self._now_unix_s = now_unix_s
        self._saw_fresh = saw_fresh
        self._draw = draw
        self._found = Finding(checked_unix_s={})  # (1) nothing is settled
        self._is_stop_sensitive = False
        self._host_has = b""

    @property
    def interval_s(self) -> float:
        """How long the host is not asked at most: as configured, or less while a stop is expected at any moment."""
        configured_s = self._config.repository.poll_interval_s
        return min(configured_s, STOP_SENSITIVE_POLL_S) if self._is_stop_sensitive else configured_s

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
        """Bring the store up to date with what somebody brings; whether the host has anything newer is the next poll's business.

        Args:
            stick: Where the refresh asks for files (``edged.update.stick``).
            report: Told what it does.

        Raises:
            StopAskedError: The process was told to stop.
        """
        task = Task(config=self._config, checked_unix_s=self._found.checked_unix_s)
        return self._keep(self._refresh(task, report, _Undisturbed(), stick) or self._found)

    def has_news(self) -> bool:
        """Tell whether the host has a timestamp that no refresh has looked at: reason to try again before its time.

        A host that was away and is back counts as having one.

        Raises:
            StopAskedError: The process was told to stop.
        """
        before = self._host_has
        self._ask(before)
        return claimed_version(self._host_has) > 0 and self._host_has != before

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again."""
        return poll_wait_s(self.interval_s, draw=self._draw())

    def is_outdated(self, trusted: bytes) -> bool:
        """Tell whether the host has a newer timestamp than the one that the running refresh trusts.

        An older one does not count: it comes from a cache that lags behind, and two of those must not end refreshes in turn.

        Raises:
            StopAskedError: The process was told to stop.
        """
        return claimed_version(self._ask(trusted)) > claimed_version(trusted)

    def _run(self, report: Report) -> Finding:
        task = Task(config=self._config, checked_unix_s=self._found.checked_unix_s)
        while (found := self._refresh(task, report, self)) is None:
            LOG.info("The host has a newer timestamp: the refresh begins again")
        if found.settled is not None:
            self._host_has = found.settled.timestamp
        return found

    def _keep(self, found: Finding) -> Finding:
        if found.is_stop_sensitive is not None:
            self._is_stop_sensitive = found.is_stop_sensitive
        self._found = found
        return found

    def _holds(self, settled: Settled) -> bool:
        now_s = self._now_unix_s()
        if now_s >= settled.due_unix_s or self._ask(settled.timestamp) != settled.timestamp:  # (4), (5)
            return False
        self._saw_fresh(now_s)
        return True

    def _ask(self, known: bytes) -> bytes:
        self._host_has = (self._question.fetch(known) if self._question is not None else None) or b""
        return self._host_has
