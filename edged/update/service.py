"""The updater's loop: poll, say what is going on, wait, again. It never ends because of what a repository, a network or a disk does.

Polls run in a thread, because they block. The status document and the journal are written from here: the document whenever the phase
changes and twice a second during a download, the journal once per new reason of failure, not once per try.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from edged import journal
from edged.clock import Clock
from edged.config.schema import UpdateConfig
from edged.errors import BundleError, EdgedError
from edged.update.backoff import backoff_s, poll_wait_s
from edged.update.client import Report, Summary
from edged.update.phases import Phase, Progress, UpdateError, UpdateStatus
from edged.update.status_file import write_status

LOG = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 0.5


class Poller(Protocol):
    """What is run at each poll; ``edged.update.client.Client``."""

    def poll(self, report: Report) -> Summary:
        """Bring the store up to date. Blocking; raises ``EdgedError``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a poll ended, when it did not end well."""

    error: EdgedError
    subject: str
    """``MODEL VERSION``, or empty when the repository as a whole failed."""
    is_for_publisher: bool
    """Nothing on this device or the network is wrong; asking more slowly would only delay the repaired bundle."""


class Service:
    """Keeps the store up to date until it is stopped.

    Args:
        poller: None when no repository is configured.
        repository: Its URL, for the status document.
        config: Waits after failures.
        poll_interval_s: Seconds between polls when all is well.
        status_path: Where the status document goes.
        clock: Monotonic for pacing, wall clock for the document.
        draw: Gives random numbers from 0 up to, not including, 1.
    """

    def __init__(
        self,
        *,
        poller: Poller | None,
        repository: str,
        config: UpdateConfig,
        poll_interval_s: float,
        status_path: Path,
        clock: Clock,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._poller = poller
        self._config = config
        self._poll_interval_s = poll_interval_s
        self._status_path = status_path
        self._clock = clock
        self._draw = draw
        self._failures = 0
        self._reported: tuple[str, str] | None = None
        self._status = UpdateStatus(
            phase=Phase.IDLE if poller else Phase.UNCONFIGURED, repository=repository, changed_at=clock.unix_s()
        )
        self._written_s = 0.0
        self._progressed_s = clock.monotonic_s()
        self._is_polling = False
        self._poll_now = asyncio.Event()

    @property
    def status(self) -> UpdateStatus:
        """What the updater does now."""
        return self._status

    def poll_now(self) -> None:
        """End the wait for the next poll; during a poll, begin another one right after it."""
        self._poll_now.set()

    def is_alive(self) -> bool:
        """Tell whether work goes on: idle, or a poll that moved within the time any one answer of the host may take, twice."""
        silent_s = self._clock.monotonic_s() - self._progressed_s
        return not self._is_polling or silent_s < 2 * self._config.timeout_s

    def announce(self) -> None:
        """Write the status document for the first time."""
        self._write()

    async def run(self) -> None:
        """Poll and wait, until cancelled."""
        while True:
            wait_s = None if self._poller is None else await self._poll(self._poller)
            try:
                async with asyncio.timeout(wait_s):
                    await self._poll_now.wait()
            except TimeoutError:
                LOG.debug("next poll is due")
            self._poll_now.clear()

    async def _poll(self, poller: Poller) -> float:
        """Run one poll and return the seconds to wait for the next."""
        self._is_polling = True
        self._note(Phase.POLLING)
        try:
            outcome = _judge(await asyncio.to_thread(poller.poll, self._note))
        except EdgedError as error:
            outcome = Outcome(error=error, subject="", is_for_publisher=False)
        except Exception as error:
            # An updater that has gone can bring no repair: whatever this is, it is recorded and tried again.
            LOG.exception("poll failed in an unforeseen way")
            outcome = Outcome(error=EdgedError(f"unforeseen: {error!r}"), subject="", is_for_publisher=False)
        finally:
            self._is_polling = False
        if outcome is None:
            return self._succeeded()
        return self._failed(outcome)

    def _succeeded(self) -> float:
        self._failures = 0
        self._reported = None
        wait_s = poll_wait_s(self._poll_interval_s, draw=self._draw())
        now_s = self._clock.unix_s()
        self._set(Phase.IDLE, last_success_at=now_s, next_poll_at=now_s + wait_s)
        return wait_s

    def _failed(self, outcome: Outcome) -> float:
        self._failures += 1
        if outcome.is_for_publisher:
            wait_s = poll_wait_s(self._poll_interval_s, draw=self._draw())
        else:
            wait_s = backoff_s(
                failures=self._failures,
                minimum_s=self._config.backoff_min_s,
                maximum_s=self._config.backoff_max_s,
                draw=self._draw(),
            )
        error = outcome.error
        message = f"{outcome.subject}: {error.message}" if outcome.subject else error.message
        if self._reported != (error.code, outcome.subject):
            self._reported = (error.code, outcome.subject)
            journal.event(LOG, journal.UPDATE_FAILED, code=error.code, reason=message, hint=error.hint)
        self._set(
            Phase.WAITING,
            next_poll_at=self._clock.unix_s() + wait_s,
            error=UpdateError(code=error.code, message=message, hint=error.hint, failures=self._failures),
        )
        return wait_s

    def _note(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take a report of the running poll; called in its thread."""
        now_s = self._clock.monotonic_s()
        self._progressed_s = now_s
        is_new = phase is not self._status.phase
        if is_new or now_s - self._written_s >= WRITE_EVERY_S:
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
        self._written_s = self._clock.monotonic_s()
        try:
            write_status(self._status_path, self._status)
        except OSError as exc:
            LOG.warning("status document not written: %s", exc)


def _judge(summary: Summary) -> Outcome | None:
    """Choose the failure that the status document names: the first that this device or the network may mend, else the first."""
    if not summary.failures:
        return None
    mendable = [failure for failure in summary.failures if not isinstance(failure.error, BundleError)]
    failure = (mendable or summary.failures)[0]
    return Outcome(error=failure.error, subject=f"{failure.model} {failure.version}", is_for_publisher=not mendable)
