"""One poll: is there anything to do? If so, a process of its own does it.

A refresh is run

(1) at the first poll, because what happened to the store since the last one is not known
(2) after one that left something undone
(3) when somebody asks for it (SIGUSR1)
(4) when some metadata has expired, or a bundle is to be hashed again
(5) when the host's timestamp is not certainly the one that the last refresh trusted

and otherwise what the last one found still holds. So new root metadata is noticed with the next new timestamp, and what somebody changed
by hand, in the store or in the file of the trusted root, with the next refresh, a day later at the most.
"""

from collections.abc import Callable
from typing import Protocol

from edged.config.schema import Config
from edged.update.messages import Finding, Settled, Task
from edged.update.phases import Report


class Asks(Protocol):
    """What asks the host; ``edged.update.question.Question``."""

    def is_unchanged(self, trusted: bytes) -> bool:
        """Tell whether the host certainly still has this timestamp."""
        ...


class Poller:
    """Polls one repository.

    Args:
        config: Handed on to each refresh.
        question: Asks the host.
        refresh: Runs a refresh to its end.
        now_unix_s: The time to judge expiry by.
    """

    def __init__(
        self,
        *,
        config: Config,
        question: Asks,
        refresh: Callable[[Task, Report], Finding],
        now_unix_s: Callable[[], float],
    ) -> None:
        self._config = config
        self._question = question
        self._refresh = refresh
        self._now_unix_s = now_unix_s
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
            task = Task(config=self._config, checked_unix_s=self._found.checked_unix_s)
            self._found = self._refresh(task, report)
        return self._found

    def _holds(self, settled: Settled) -> bool:
        return self._now_unix_s() < settled.due_unix_s and self._question.is_unchanged(settled.timestamp)  # (4), (5)
