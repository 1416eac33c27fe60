"""How far off readings are: errors in degrees, under which conditions, and what the confidence is worth. Pure."""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from models.gauge.dials import Dial
from models.gauge.sets import DialSet

Floats = npt.NDArray[np.floating]

SURE: Final = 0.9
"""A confidence from which on a reading is worth showing."""

CONDITIONS: Final[dict[str, Callable[[Dial], bool]]] = {
    "glare": lambda dial: dial.light.glare is not None,
    "shadow": lambda dial: dial.light.shadow is not None,
    "blur": lambda dial: dial.light.blur > 0.8,
    "noise": lambda dial: dial.light.noise > 0.035,
    "dark": lambda dial: dial.light.exposure < 0.65,
    "dark face": lambda dial: dial.face < 0.5,
    "small": lambda dial: dial.camera.radius < 0.35,
    "from the side": lambda dial: dial.camera.squeeze[0] < 0.9,
    "long tail": lambda dial: dial.needle is not None and dial.needle.tail > 0.3 * dial.needle.length,
}
"""What makes a gauge hard to read, by name."""


def errors_in_degrees(found: Floats, truth: Floats) -> npt.NDArray[np.float64]:
    """Return how far angles are apart, the short way round, in [0, 180]; NaN where there is no truth."""
    away = np.abs(found.astype(np.float64) - truth) % 360
    shorter: npt.NDArray[np.float64] = np.minimum(away, 360 - away)
    return shorter


def summarize(errors: Floats) -> dict[str, float | int]:
    """Return the count, mean, 95th percentile and maximum of errors that are numbers; the count alone when there are none."""
    known = errors[~np.isnan(errors)]
    if not known.size:
        return {"count": 0}
    return {
        "count": int(known.size),
        "mean_deg": round(float(known.mean()), 3),
        "p95_deg": round(float(np.quantile(known, 0.95)), 3),
        "max_deg": round(float(known.max()), 3),
    }


def measure(dials: DialSet, angles: Floats, confidences: Floats) -> dict[str, object]:
    """Judge the readings of a whole set.

    Args:
        dials: With the truth.
        angles: What was read, degrees, shape (n,).
        confidences: Shape (n,).

    Returns:
        A JSON document.
    """
    errors = errors_in_degrees(angles, dials.angles)
    sure, has_needle = confidences >= SURE, ~np.isnan(errors)
    return {
        "all": summarize(errors),
        "sure": {
            "confidence": SURE,
            "share_of_needles": round(float(sure[has_needle].mean()), 4),
            "share_of_pictures_without_needle": round(float(sure[~has_needle].mean()), 4),
            **summarize(errors[sure]),
        },
        "conditions": {
            name: summarize(errors[np.array([holds(dial) for dial in dials.dials])])
            for name, holds in CONDITIONS.items()
        },
    }
