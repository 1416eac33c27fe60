"""The updater's loop: poll, say what is going on, wait, again. It never ends because of what a repository, a network or a disk does.

After a failure it waits, and longer after each further one. The wait ends early when the question of a poll interval finds that the host
is back, or has what no refresh has gone by. After that, and after a refresh that failed but has brought a part of what is wanted, a wait is
at most about as long as a poll interval and grows from there: something has changed, and the host is asked no more often than it expects.

The status document and the journal are written from here: the document whenever what it says changes, the journal once per new reason of
failure, not once per try.
"""

import logging
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, Protocol

from edged import journal
from edged.clock import Clock
from edged.config.schema import UpdateConfig
from edged.errors import EdgedError, NothingToDoError
from edged.update.lookout.backoff import backoff_s, failures_until_s
from edged.update.protocol.asking import Outcome
from edged.update.protocol.messages import Failure, Finding, failure_of
from edged.update.protocol.phases import Deferred, Phase, Progress, Report, TimeSource, UpdateError, UpdateStatus
from edged.update.protocol.status_file import write_status
from edged.update.service.control import Control
from edged.update.waits.waiting import ApplyAskedError, Waits

LOG = logging.getLogger(__name__)


class Polls(Protocol):
    """What is run at each poll; ``edged.update.service.poller.Poller``."""

    def poll(self, report: Report, *, is_asked_for: bool) -> Finding:
        """Find out whether the store is up to date, and bring it up to date when it is not."""
        ...

    def apply(self, stick: socket.socket, report: Report) -> Finding:
        """Bring the store up to date with what somebody brings."""
        ...

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again."""
        ...

    def has_news(self) -> bool:
        """Ask the host whether a poll would find something else than the last one."""
        ...


class Service:
    """Keeps the store up to date until it is stopped.

    Args:
        poller: Runs polls.
        control: Who asks for something.
        repository: Its URL; empty when none is configured, and nothing is polled then.
        config: Waits after failures.
        status_path: Where the status document goes.
        clock: The wall clock, for the document.
        time_source: What tells the time that expiry is judged by, for the document.
        waits: Where to wait between polls.
        draw: Gives random numbers from 0 up to, not including, 1.
    """

    def __init__(
        self,
        *,
        poller: Polls,
        control: Control,
        repository: str,
        config: UpdateConfig,
        status_path: Path,
        clock: Clock,
        time_source: Callable[[], TimeSource],
        waits: Waits,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._poller = poller
        self._control = control
        self._repository = repository
        self._config = config
        self._status_path = status_path
        self._clock = clock
        self._time_source = time_source
        self._waits = waits
        self._draw = draw
        self._failures = 0
        self._counted = 0
        """How many failures make the next wait as long as it is."""
        self._reported: tuple[str, str] | None = None
        self._status = UpdateStatus(
            phase=Phase.IDLE if repository else Phase.UNCONFIGURED,
            repository=repository,
            changed_at=clock.unix_s(),
            time_source=time_source(),
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
            try:
                if self._repository:
                    is_asked_for = self._rest(self._poll(is_asked_for=is_asked_for))
                else:
                    self._decline()
                    self._waits.rest(None)
            except ApplyAskedError:
                self._apply()  # a poll that it ended is made up for at once

    def _rest(self, wait_s: float) -> bool:
        """Wait for the next poll; true when somebody asked for it.

        After a failure that may be far away. The host is asked for news as often as ever, because a stop may be among them.
        """
        while wait_s > 0:
            step_s = min(wait_s, self._poller.wait_s())
            if self._waits.rest(step_s):
                return True
            wait_s -= step_s
            if wait_s > 0 and self._poller.has_news():
                self._forgive()
                return False
        return False

    def _forgive(self) -> None:
        """Have the next failure followed by a wait of about a poll interval at most."""
        few = failures_until_s(self._poller.wait_s(), minimum_s=self._config.backoff_min_s)
        self._counted = min(self._counted, few - 1)

    def _decline(self) -> None:
        """Answer those who want a poll where there is nothing to poll."""
        self._control.begin_check()
        nothing = NothingToDoError(
            "no repository is configured",
            hint="Set [repository] url, or bring updates with edgectl update apply --from.",
        )
        self._control.end_check(Outcome(failure=failure_of(nothing)))

    def _apply(self) -> None:
        """Take what somebody brings. What comes of it is told to them; polls go on as before."""
        stick = self._control.begin_apply()
        self._note(Phase.POLLING)
        found = self._find(lambda: self._poller.apply(stick, self._note))
        if found.failure is not None:
            self._record(found.failure)
        self._control.end_apply(_outcome(found))
        if not self._repository:
            self._set(Phase.UNCONFIGURED)

    def _find(self, run: Callable[[], Finding]) -> Finding:
        try:
            return run()
        except Exception as error:
            # An updater that has gone can bring no repair: whatever this is, it is recorded and tried again.
            LOG.exception("an update failed in an unforeseen way")
            return Finding(failure=failure_of(EdgedError(f"unforeseen: {error!r}")), checked_unix_s={})

    def _poll(self, *, is_asked_for: bool) -> float:
        """Run one poll and return the seconds to wait for the next."""
        is_asked_for = is_asked_for or self._control.is_check_asked
        self._control.begin_check()
        self._note(Phase.POLLING)
        poller = self._poller
        found = self._find(lambda: poller.poll(self._note, is_asked_for=is_asked_for))
        self._control.end_check(_outcome(found))
        if found.failure is None:
            return self._succeeded(found.deferred, wait_s=poller.wait_s())
        if found.has_brought:
            self._forgive()
        return self._failed(found.failure, found.deferred, poll_wait_s=poller.wait_s())

    def _succeeded(self, deferred: Deferred | None, *, wait_s: float) -> float:
        self._failures = self._counted = 0
        self._reported = None
        now_s = self._clock.unix_s()
        phase = Phase.IDLE if deferred is None else Phase.DEFERRED
        self._set(phase, last_success_at=now_s, next_poll_at=now_s + wait_s, deferred=deferred)
        return wait_s

    def _failed(self, failure: Failure, deferred: Deferred | None, *, poll_wait_s: float) -> float:
        self._failures += 1
        if failure.is_for_publisher:
            self._counted = 0
            wait_s = poll_wait_s
        else:
            self._counted += 1
            wait_s = backoff_s(
                failures=self._counted,
                minimum_s=self._config.backoff_min_s,
                maximum_s=self._config.backoff_max_s,
                draw=self._draw(),
            )
        if self._reported != (failure.code, failure.subject):
            self._reported = (failure.code, failure.subject)
            self._record(failure)
        self._set(
            Phase.WAITING,
            next_poll_at=self._clock.unix_s() + wait_s,
            error=UpdateError(
                code=failure.code, message=failure.describe(), hint=failure.hint, failures=self._failures
            ),
            deferred=deferred,
        )
        return wait_s

    def _record(self, failure: Failure) -> None:
        journal.event(LOG, journal.UPDATE_FAILED, code=failure.code, reason=failure.describe(), hint=failure.hint)

    def _note(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take a report of what runs."""
        self._control.tell(phase, progress)
        if (phase, progress) != (self._status.phase, self._status.progress):
            self._set(phase, error=self._status.error, deferred=self._status.deferred, progress=progress)

    def _set(
        self,
        phase: Phase,
        *,
        last_success_at: float | None = None,
        next_poll_at: float | None = None,
        error: UpdateError | None = None,
        deferred: Deferred | None = None,
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
            deferred=deferred,
            progress=progress,
            time_source=self._time_source(),
        )
        self._write()

    def _write(self) -> None:
        try:
            write_status(self._status_path, self._status)
        except OSError as exc:
            LOG.warning("status document not written: %s", exc)


def _outcome(found: Finding) -> Outcome:
    return Outcome(staged=found.staged, failure=found.failure, deferred=found.deferred)
