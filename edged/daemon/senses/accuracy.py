"""What apps say about how well a model's answers do: nobody else can know, where the truth shows only later.

Each user has one say about each model, which ends by itself. As long as anybody says that the answers are degraded, they count as that:
one app that is content does not know what another one sees. Hints are of no consequence but for policies that ask about ``accuracy``.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edged.api.documents.accuracy import AccuracyWord
from edged.clock import Clock
from edged.errors import UnavailableError
from edged.sense.reading import Reading, known, unknown

MAX_HINTS: Final = 256
"""Of all models and users."""
_SILENCE: Final[Reading[str]] = unknown("no app has said anything about it lately")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hint:
    accuracy: AccuracyWord
    until_s: float
    """Monotonic."""


class AccuracyHints:
    """Fulfils ``edged.daemon.decisions.seams.Accuracy`` and ``edged.api.ports.AccuracyHints``. For one event loop.

    Args:
        clock: Ends hints.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hints: dict[tuple[str, int], _Hint] = {}
        self._counts: Counter[tuple[str, AccuracyWord]] = Counter()
        self._listeners: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def counts(self) -> Mapping[tuple[str, AccuracyWord], int]:
        """How often each was said of a model."""
        return self._counts

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when something is said, or no longer counts."""
        self._listeners.append(told)

    def of(self, model: str) -> Reading[str]:
        """Return ``ok`` or ``degraded``, as long as somebody says so."""
        now_s = self._clock.monotonic_s()
        said = {hint.accuracy for (of, _), hint in self._hints.items() if of == model and hint.until_s > now_s}
        if not said:
            return _SILENCE
        return known("degraded" if "degraded" in said else "ok")

    def say(self, model: str, accuracy: AccuracyWord, *, for_s: float, uid: int) -> None:
        """Take what a user says of a model, in place of what it said before.

        Args:
            model: One that is here.
            accuracy: How its answers do.
            for_s: How long this counts, in seconds.
            uid: Whose it is.

        Raises:
            UnavailableError: Too many have something to say.
        """
        self._forget()
        if len(self._hints) >= MAX_HINTS and (model, uid) not in self._hints:
            raise UnavailableError(f"All {MAX_HINTS} places for hints about accuracy are taken.")
        self._hints[model, uid] = _Hint(accuracy=accuracy, until_s=self._clock.monotonic_s() + for_s)
        self._counts[model, accuracy] += 1
        self._tell()

    def close(self) -> None:
        """Tell nobody any more."""
        self._listeners.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        if self._forget():
            self._tell()
        else:
            self._set_timer()

    def _forget(self) -> bool:
        now_s = self._clock.monotonic_s()
        left = {key: hint for key, hint in self._hints.items() if hint.until_s > now_s}
        has_changed = len(left) != len(self._hints)
        self._hints = left
        return has_changed

    def _tell(self) -> None:
        self._set_timer()
        for told in self._listeners:
            told()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._hints:
            left_s = min(hint.until_s for hint in self._hints.values()) - self._clock.monotonic_s()
            self._timer = asyncio.get_running_loop().call_later(max(0.0, left_s), self._expire)
