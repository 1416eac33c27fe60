"""The updater's loop: poll, say what is going on, wait, again. It never ends because of what a repository, a network or a disk does.

The status document and the journal are written from here: the document whenever what it says changes, the journal once per new reason of
failure, not once per try.
"""

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from edged import journal
from edged.clock import Clock
from edged.config.schema import UpdateConfig
from edged.errors import EdgedError
from edged.update.backoff import backoff_s, poll_wait_s
from edged.update.messages import Failure, Finding, failure_of
from edged.update.phases import Phase, Progress, Report, UpdateError, UpdateStatus
from edged.update.status_file import write_status
from edged.update.waiting import Waits

LOG = logging.getLogger(__name__)


class Polls(Protocol):
    """What is run at each poll; ``edged.update.poller.Poller``."""

    def poll(self, report: Report, *, is_asked_for: bool) -> Finding:
        """Find out whether the store is up to date, and bring it up to date when it is not."""
        ...


class Service:
    """Keeps the store up to date until it is stopped.

    Args:
        poller: None when no repository is configured.
        repository: Its URL, for the status document.
        config: Waits after failures.
        poll_interval_s: Seconds between polls when all is well.
        status_path: Where the status document goes.
        clock: The wall clock, for the document.
        waits: Where to wait between polls.
        draw: Gives random numbers from 0 up to, not including, 1.
    """

    def __init__(
        self,
        *,
        poller: Polls | None,
        repository: str,
        config: UpdateConfig,
        poll_interval_s: float,
        status_path: Path,
        clock: Clock,
        waits: Waits,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._poller = poller
        self._config = config
        self._poll_interval_s = poll_interval_s
        self._status_path = status_path
        self._clock = clock
        self._waits = waits
        self._draw = draw
        self._failures = 0
        self._reported: tuple[str, str] | None = None
        self._status = UpdateStatus(
            phase=Phase.IDLE if poller else Phase.UNCONFIGURED, repository=repository, changed_at=clock.unix_s()
        )

    @property
    def status(self) -> UpdateStatus:
        """What the updater does now."""
        return self._status

    def announce(self) -> None:
        """Write the status document for the first time."""
        self._write()

    def run(self) -> NoReturn:
        """Poll and wait, for ever.

        Raises:
            StopAskedError: The process was told to stop.
        """
        is_asked_for = False
        while True:
            wait_s = None if self._poller is None else self._poll(self._poller, is_asked_for=is_asked_for)
            is_asked_for = self._waits.rest(wait_s)

    def _poll(self, poller: Polls, *, is_asked_for: bool) -> float:
        """Run one poll and return the seconds to wait for the next."""
        self._note(Phase.POLLING)
        try:
            failure = poller.poll(self._note, is_asked_for=is_asked_for).failure
        except Exception as error:
            # An updater that has gone can bring no repair: whatever this is, it is recorded and tried again.
            LOG.exception("poll failed in an unforeseen way")
            failure = failure_of(EdgedError(f"unforeseen: {error!r}"))
        return self._succeeded() if failure is None else self._failed(failure)

    def _succeeded(self) -> float:
        self._failures = 0
        self._reported = None
        wait_s = poll_wait_s(self._poll_interval_s, draw=self._draw())
        now_s = self._clock.unix_s()
        self._set(Phase.IDLE, last_success_at=now_s, next_poll_at=now_s + wait_s)
        return wait_s

    def _failed(self, failure: Failure) -> float:
        self._failures += 1
        if failure.is_for_publisher:
            wait_s = poll_wait_s(self._poll_interval_s, draw=self._draw())
        else:
            wait_s = backoff_s(
                failures=self._failures,
                minimum_s=self._config.backoff_min_s,
                maximum_s=self._config.backoff_max_s,
                draw=self._draw(),
            )
        message = failure.describe()
        if self._reported != (failure.code, failure.subject):
            self._reported = (failure.code, failure.subject)
            journal.event(LOG, journal.UPDATE_FAILED, code=failure.code, reason=message, hint=failure.hint)
        self._set(
            Phase.WAITING,
            next_poll_at=self._clock.unix_s() + wait_s,
            error=UpdateError(code=failure.code, message=message, hint=failure.hint, failures=self._failures),
        )
        return wait_s

    def _note(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take a report of the running poll."""
        if (phase, progress) != (self._status.phase, self._status.progress):
            self._set(phase, error=self._status.error, progress=progress)

    def _set(
        self,
        phase: Phase,
        *,
        last_success_at: float | None = None,
        next_poll_at: float | None = None,
        error: UpdateError | None = None,
        progress: Progress | None = None,
    ) -> None:
        before = self._status
        self._status = UpdateStatus(
            phase=phase,
            repository=before.repository,
            changed_at=before.changed_at if before.phase is phase else self._clock.unix_s(),
            last_success_at=last_success_at or before.last_success_at,
            next_poll_at=next_poll_at,
            error=error,
            progress=progress,
        )
        self._write()

    def _write(self) -> None:
        try:
            write_status(self._status_path, self._status)
        except OSError as exc:
            LOG.warning("status document not written: %s", exc)
