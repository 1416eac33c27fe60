"""Sets of dials for training, calibration and evaluation, each from a seed of its own, and how a picture becomes the network's input."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.gauge.dials import Dial, choose_dial
from models.gauge.drawing import Pixels, draw_dial

TRAINING_SEED: Final = 1
EVALUATION_SEED: Final = 2
"""Of the dials that the published errors are measured on; nothing is ever trained or calibrated on them."""
CALIBRATION_SEED: Final = 3
KIT_SEED: Final = 4

MEAN: Final = 0.45
DEVIATION: Final = 0.25

Input = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSet:
    """Dials with their pictures."""

    dials: tuple[Dial, ...]
    pictures: Pixels
    """Shape (n, 128, 128)."""

    @property
    def angles(self) -> npt.NDArray[np.float64]:
        """The truth in degrees, shape (n,); NaN for a picture without a needle."""
        return np.array([np.nan if dial.angle is None else dial.angle for dial in self.dials])


def make_set(seed: int, count: int) -> DialSet:
    """Draw the first dials of a seed."""
    dials = tuple(choose_dial(seed, number) for number in range(count))
    return DialSet(dials=dials, pictures=np.stack([draw_dial(dial) for dial in dials]))


def normalize(pictures: Pixels | Iterable[Pixels]) -> Input:
    """Turn pictures of shape (n, 128, 128) into the model's input ``image``, shape (n, 1, 128, 128).

    It is ``normalize@1`` but for the last bit: that step multiplies by 1 / 255.
    """
    greys = np.asarray(pictures, np.float32)[:, None] / np.float32(255)
    return (greys - np.float32(MEAN)) / np.float32(DEVIATION)
