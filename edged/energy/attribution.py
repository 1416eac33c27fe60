"""How much of what a device draws is due to its models. Pure; what cannot be measured is unknown, with the reason, and never guessed.

Looks are taken every few seconds. What a variant used between two of them:

1. The time that processors were busy with its worker process, on all cores. So a run on two cores counts twice its time, and one that is
   under way at a look counts on both sides of it, with what it used there.
2. Where that is not known, the time of its runs: there is no worker, it cannot be looked at, or it was not there at the look before (it has
   loaded its model since, which is no run).
3. Where the variant may run on an accelerator, which keeps no processor busy, the larger of the two.

And what that cost:

1. Variants used less than ``IDLE_SHARE`` of the time: what the device drew belongs to its idle baseline, the lower quartile of the last
   ``IDLE_LOOKS`` such looks. It is known from ``FEWEST_IDLE_LOOKS`` on.
2. They used more: what the device drew above the baseline, times the time, is the energy of all that was busy. The models' share of it is
   that of the time they used in all time that processors were busy, at most all of it; each variant's is that of its time in theirs.
3. They used less than ``MEASURABLE_SHARE`` of the time, or nobody knows the power, the baseline, or how busy the processors were: the runs
   count as not measured.

What validates or compares a model, and the process that workers come from, are among the others that keep processors busy.

The limits of this: what else is busy at the same time is taken to draw as much for its time, an accelerator as much as one processor; a
battery's gauge lags by some seconds; a screen that is switched on while no model runs raises the baseline only after some looks.
Averages over many runs are good for comparing variants on one device.
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
class Process:
    """A worker."""

    pid: int
    processor_s: float
    """Time that processors were busy with it since it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a variant has done; both figures only grow, but for a variant that is loaded anew."""

    runs: int
    run_s: float
    process: Process | None = None
    """What does it now; None where nothing does, or nobody can look at it."""
    may_accelerate: bool = False
    """It may run on something else than processors."""


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
        gained = {key: _gained(before.work.get(key), work) for key, work in look.work.items()}
        watts = look.watts.value
        if watts is not None and sum(each.used_s for each in gained.values()) < IDLE_SHARE * duration_s:
            self._idle_watts.append(watts)
        # A worker that nobody asks uses a little, too.
        done = {key: each for key, each in gained.items() if each.runs or each.used_s >= IDLE_SHARE * duration_s}
        used_s = sum(each.used_s for each in done.values())
        joules, reason = self._joules_of_models(before, look, used_s)
        return Interval(
            duration_s=duration_s,
            joules=None if watts is None else watts * duration_s,
            costs={
                key: Cost(
                    runs=each.runs,
                    run_s=each.run_s,
                    joules=None if joules is None else joules * each.used_s / used_s,
                )
                for key, each in done.items()
            },
            reason=reason if done else "",
        )

    def _joules_of_models(self, before: Look, look: Look, used_s: float) -> tuple[float | None, str]:
        baseline = self.baseline_watts
        if look.watts.value is None:
            return None, look.watts.reason
        if baseline is None:
            return None, "what the device draws while no model runs is not known yet"
        if look.busy_s is None or before.busy_s is None or look.busy_s <= before.busy_s:
            return None, "nobody knows how busy the processors were"
        if used_s < MEASURABLE_SHARE * (look.at_s - before.at_s):
            return None, "models ran for too small a share of the time to be seen in what the device draws"
        above = max(0.0, look.watts.value - baseline) * (look.at_s - before.at_s)
        return above * min(1.0, used_s / (look.busy_s - before.busy_s)), ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gained:
    runs: int
    run_s: float
    used_s: float


def _gained(before: Work | None, now: Work) -> _Gained:
    """Return what was done since; one that counts less than before was loaded anew."""
    if before is None or now.runs < before.runs:
        runs, run_s = now.runs, now.run_s
    else:
        runs, run_s = now.runs - before.runs, max(0.0, now.run_s - before.run_s)
    processor_s = None if before is None else _processor_s(before.process, now.process)
    used_s = run_s if processor_s is None else processor_s
    if now.may_accelerate:
        used_s = max(used_s, run_s)
    return _Gained(runs=runs, run_s=run_s, used_s=used_s)


def _processor_s(before: Process | None, now: Process | None) -> float | None:
    """Return what a process used since; None where that is not known of the same one."""
    if before is None or now is None or before.pid != now.pid or now.processor_s < before.processor_s:
        return None
    return now.processor_s - before.processor_s
