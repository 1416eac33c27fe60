"""What the updater knows of its repository's host: what that has for a timestamp, what this device trusts, and when to ask again.

What has to be quick, a stop above all, comes with a new timestamp. So the host is asked for one in each poll interval, whatever else goes
on. What it answers is not believed: it only tells that there may be something to see.
"""

import random
from collections.abc import Callable
from typing import Final, Protocol

from edged.errors import EdgedError
from edged.files import read_limited
from edged.ops.flags import STOP_SENSITIVE_POLL_S
from edged.store.layout import StoreLayout
from edged.update.freshness.timestamp import claimed_version
from edged.update.lookout.backoff import poll_wait_s

MAX_TIMESTAMP_BYTES: Final = 1 << 14


class Asks(Protocol):
    """What asks the host; ``edged.update.lookout.question.Question``."""

    def fetch(self, known: bytes) -> bytes | None:
        """Return the bytes of the host's timestamp, true or not; None when nothing is certain."""
        ...


class Lookout:
    """Looks at one host.

    Args:
        question: Asks the host; None when no repository is configured.
        poll_interval_s: As configured.
        monotonic_s: The clock of waits.
        trusted: The timestamp that this device keeps; empty when it keeps none.
        draw: Gives random numbers from 0 up to, not including, 1.
    """

    def __init__(
        self,
        *,
        question: Asks | None,
        poll_interval_s: float,
        monotonic_s: Callable[[], float],
        trusted: bytes = b"",
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._question = question
        self._configured_s = poll_interval_s
        self._monotonic_s = monotonic_s
        self._draw = draw
        self._asked_s: float | None = None
        self._looked_at = b""
        self.is_stop_sensitive = False
        """Whether a stop is expected at any moment here."""
        self.host_has = b""
        """The host's timestamp, as far as is known."""
        self.trusted = trusted
        """The timestamp that this device trusted last, wherever it came from."""

    @property
    def interval_s(self) -> float:
        """How long the host is not asked at most: as configured, or less while a stop is expected at any moment."""
        return min(self._configured_s, STOP_SENSITIVE_POLL_S) if self.is_stop_sensitive else self._configured_s

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again, when it was asked just now."""
        return poll_wait_s(self.interval_s, draw=self._draw())

    def left_s(self) -> float:
        """Return the same, counted from when it was asked."""
        if self._asked_s is None:
            return 0.0
        return max(0.0, self._asked_s + self.wait_s() - self._monotonic_s())

    def ask(self, known: bytes) -> bytes:
        """Return what the host has now; nothing when that is not certain.

        Args:
            known: What it had before; it is sent again only when it changed.

        Raises:
            StopAskedError: The process was told to stop.
        """
        # When it began: who is interrupted, or waits in vain, has asked as well.
        self._asked_s = self._monotonic_s()
        self.host_has = (self._question.fetch(known) if self._question is not None else None) or b""
        return self.host_has

    def is_ahead(self) -> bool:
        """Ask, and tell whether the host claims to have something newer than what is trusted.

        An older one does not count: it comes from a cache that lags behind, and two of those must not end refreshes in turn.

        Raises:
            StopAskedError: The process was told to stop.
        """
        return claimed_version(self.ask(self.trusted)) > claimed_version(self.trusted)

    def is_unseen(self) -> bool:
        """Tell whether nothing has looked at what the host had when it was asked last.

        Also true of an older timestamp, once: after the keys of a thief were replaced, the good one has a lower version than the thief's.
        """
        return claimed_version(self.host_has) > 0 and self.host_has not in {self.trusted, self._looked_at}

    def note_look(self) -> None:
        """Take note that something looks at what the host has."""
        self._looked_at = self.host_has


def read_kept_timestamp(layout: StoreLayout) -> bytes:
    """Return the timestamp that a device keeps; nothing when there is none that could be read."""
    try:
        return read_limited(layout.metadata / "timestamp.json", max_bytes=MAX_TIMESTAMP_BYTES)
    except (OSError, EdgedError):
        return b""
