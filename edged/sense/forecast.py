"""When the next thermal level will be reached, if it goes on as in the last minutes. Pure.

The slope is the median of the slopes between all pairs of samples (Theil and Sen): a few samples may be anything without changing it much.
It counts as warming when it is at least 0.3 degrees a minute and at least three quarters of the pairs rise, over at least a minute;
otherwise it is noise, and nothing is foretold. What warms does so ever more slowly, so the straight line errs towards too early. Nothing is
said about more than an hour ahead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from edged.sense.context import Level
from edged.sense.levels import Heat

SPACING_S: Final = 10.0
"""Samples that are nearer than this to the one before are not kept."""
WINDOW_S: Final = 180.0
MIN_SPAN_S: Final = 60.0
MAX_GAP_S: Final = 60.0
"""After a longer break, as of a device that slept, what was before says nothing."""
MIN_SLOPE: Final = 0.3 / 60.0
"""Degrees Celsius a second."""
MIN_RISING_SHARE: Final = 0.75
HORIZON_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A temperature at a moment."""

    at_s: float
    """Monotonic."""
    celsius: float


Samples = Mapping[str, Sequence[Sample]]


def keep(samples: Samples, heats: Mapping[str, Heat], *, now_s: float) -> Samples:
    """Return the samples of the last minutes with those of now; sensors that say nothing now are forgotten."""
    return {
        name: _keep(samples.get(name, ()), Sample(at_s=now_s, celsius=heat.celsius)) for name, heat in heats.items()
    }


def next_level_s(samples: Samples, heats: Mapping[str, Heat], *, level: Level) -> float | None:
    """Return the seconds until the first sensor reaches the level above the device's; None while none is on its way there.

    Args:
        samples: As ``keep`` returned them for the same heats.
        heats: What the sensors say now.
        level: Of the device; none of the sensors is above it.
    """
    if level is Level.CRITICAL:
        return None
    above = Level(level + 1)
    soonest_s = min((_reaches_s(samples[name], heat, above) for name, heat in heats.items()), default=HORIZON_S)
    return soonest_s if soonest_s < HORIZON_S else None


def _keep(samples: Sequence[Sample], newest: Sample) -> Sequence[Sample]:
    if not samples or newest.at_s - samples[-1].at_s > MAX_GAP_S:
        return (newest,)
    if newest.at_s - samples[-1].at_s < SPACING_S:
        return samples
    return (*(sample for sample in samples if newest.at_s - sample.at_s <= WINDOW_S), newest)


def _reaches_s(samples: Sequence[Sample], heat: Heat, above: Level) -> float:
    slope = _slope(samples)
    return HORIZON_S if slope is None else (heat.thresholds.begins(above) - heat.celsius) / slope


def _slope(samples: Sequence[Sample]) -> float | None:
    """Return how fast it warms, degrees Celsius a second; None while it does not."""
    if len(samples) < 3 or samples[-1].at_s - samples[0].at_s < MIN_SPAN_S:
        return None
    # Most of the time nothing warms, and this is cheaper than all pairs.
    if max(sample.celsius for sample in samples) == samples[0].celsius:
        return None
    slopes = [
        (later.celsius - earlier.celsius) / (later.at_s - earlier.at_s) for earlier, later in combinations(samples, 2)
    ]
    rising = sum(slope > 0 for slope in slopes)
    slope = sorted(slopes)[len(slopes) // 2]
    return slope if slope >= MIN_SLOPE and rising >= MIN_RISING_SHARE * len(slopes) else None
