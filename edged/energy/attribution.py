"""How much of what a device draws is due to its models. Pure; what cannot be measured is unknown, with the reason, and never guessed.

Looks are taken every few seconds. Between two of them:

1. No model ran (less than ``IDLE_SHARE`` of the time): what the device drew belongs to its idle baseline, the lower quartile of the last
   ``IDLE_LOOKS`` such looks. It is known from ``FEWEST_IDLE_LOOKS`` on.
2. Models ran: what the device drew above the baseline, times the time, is the energy of all that was busy. The models' share of it is
   that of the time of their runs in all time that processors were busy, at most all of it; each variant's is that of its runs among
   theirs.
3. Models ran for less than ``MEASURABLE_SHARE`` of the time, or nobody knows the power, the baseline, or how busy the processors were:
   the runs count as not measured.

The limits of this: runs on several threads or on an accelerator count by the time they take, not by the cores they keep busy; what else is
busy at the same time is taken to draw as much for its time; a battery's gauge lags by some seconds; a screen that is switched on while
no model runs raises the baseline only after some looks. Averages over many runs are good for comparing variants on one device.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from edged.sense.reading import Reading

IDLE_SHARE: Final = 0.01
MEASURABLE_SHARE: Final = 0.05
"""Of less than that, readings of power say nothing: they are too coarse and too seldom."""
IDLE_LOOKS: Final = 60
FEWEST_IDLE_LOOKS: Final = 3
LONGEST_S: Final = 60.0
"""Looks that are further apart say nothing about what was between them: the device slept."""

Key = tuple[str, str]
"""A model and the id of one of its variants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a variant has done; both only grow, but for a variant that is loaded anew."""

    runs: int
    run_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A moment."""

    at_s: float
    """Monotonic."""
    watts: Reading[float]
    """What the whole device draws."""
    busy_s: float | None
    """Time that all processors together were busy since boot; None where nobody knows."""
    work: Mapping[Key, Work]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a variant cost between two looks."""

    runs: int
    run_s: float
    joules: float | None
    """None: not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What happened between two looks."""

    duration_s: float
    joules: float | None
    """Of the whole device, whatever it did; None where the power is not known."""
    costs: Mapping[Key, Cost]
    reason: str
    """Why runs of it are not measured; empty where they are, or where there are none."""


@dataclass(slots=True)
class Attribution:
    """Takes looks and tells what was between them."""

    _before: Look | None = None
    _idle_watts: deque[float] = field(default_factory=lambda: deque(maxlen=IDLE_LOOKS))

    @property
    def baseline_watts(self) -> float | None:
        """What the device draws while no model runs; None while too little is known."""
        if len(self._idle_watts) < FEWEST_IDLE_LOOKS:
            return None
        return sorted(self._idle_watts)[len(self._idle_watts) // 4]

    def take(self, look: Look) -> Interval | None:
        """Take a look; returns what was between it and the one before, None where nothing can be said."""
        before, self._before = self._before, look
        if before is None or not 0 < look.at_s - before.at_s <= LONGEST_S:
            return None
        duration_s = look.at_s - before.at_s
        done = {
            key: gained for key, work in look.work.items() if (gained := _gained(before.work.get(key), work)).runs > 0
        }
        run_s = sum(gained.run_s for gained in done.values())
        watts = look.watts.value
        joules, reason = self._joules_of_models(before, look, run_s)
        if watts is not None and run_s < IDLE_SHARE * duration_s:
            self._idle_watts.append(watts)
        return Interval(
            duration_s=duration_s,
            joules=None if watts is None else watts * duration_s,
            costs={
                key: Cost(
                    runs=gained.runs,
                    run_s=gained.run_s,
                    joules=None if joules is None else joules * gained.run_s / run_s,
                )
                for key, gained in done.items()
            },
            reason=reason if done else "",
        )

    def _joules_of_models(self, before: Look, look: Look, run_s: float) -> tuple[float | None, str]:
        baseline = self.baseline_watts
        if look.watts.value is None:
            return None, look.watts.reason
        if baseline is None:
            return None, "what the device draws while no model runs is not known yet"
        if look.busy_s is None or before.busy_s is None or look.busy_s <= before.busy_s:
            return None, "nobody knows how busy the processors were"
        if run_s < MEASURABLE_SHARE * (look.at_s - before.at_s):
            return None, "models ran for too small a share of the time to be seen in what the device draws"
        above = max(0.0, look.watts.value - baseline) * (look.at_s - before.at_s)
        return above * min(1.0, run_s / (look.busy_s - before.busy_s)), ""


def _gained(before: Work | None, now: Work) -> Work:
    """Return what was done since; one that counts less than before was loaded anew."""
    if before is None or now.runs < before.runs:
        return now
    return Work(runs=now.runs - before.runs, run_s=max(0.0, now.run_s - before.run_s))
