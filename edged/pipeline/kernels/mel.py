"""The numbers behind ``LogMel``: its window, its bands of pitch, and the spectrum of a sound, all in double precision."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.fft import rfft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edged.pipeline.steps.audio import LogMel

Doubles = NDArray[np.float64]

BLOCK: Final = 1 << 20
"""Values that are transformed at a time, so that the doubles in between stay at some 8 MiB."""


def hann(step: LogMel) -> Doubles:
    """Return the periodic Hann window in the middle of ``fft`` values."""
    length = step.fft if step.window is None else step.window
    window = np.zeros(step.fft)
    start = (step.fft - length) // 2
    window[start : start + length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return window


def mel_of(hertz: Doubles, scale: str) -> Doubles:
    """Return pitch in mels."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    return np.where(hertz < 1000, 3 * hertz / 200, 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4))


def hertz_of(mels: Doubles, scale: str) -> Doubles:
    """Return frequency in hertz."""
    if scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    return np.where(mels < 15, 200 * mels / 3, 1000 * np.exp((np.maximum(mels, 15) - 15) * np.log(6.4) / 27))


def bands(step: LogMel) -> Doubles:
    """Return the weight of each bin in each band, [mels, fft // 2 + 1]."""
    lowest, highest = mel_of(np.array(step.band_hz), step.scale)
    points = hertz_of(np.linspace(lowest, highest, step.mels + 2), step.scale)
    bins = np.arange(step.fft // 2 + 1) * step.rate / step.fft
    rising = (bins - points[:-2, None]) / np.diff(points)[:-1, None]
    falling = (points[2:, None] - bins) / np.diff(points)[1:, None]
    weights: Doubles = np.maximum(0, np.minimum(rising, falling))
    if step.norm == "slaney":
        weights *= (2 / (points[2:] - points[:-2]))[:, None]
    return weights


class Spectrum:
    """Turns a sound into its bands.

    Args:
        step: Says how; of no request.
    """

    def __init__(self, step: LogMel) -> None:
        self._step = step
        self._window = hann(step)
        self._filters = list(_filters(bands(step)))

    def of(self, sound: NDArray[np.float32], frames: int) -> Doubles:
        """Return the bands of a padded sound, [frames, mels]."""
        step = self._step
        views = sliding_window_view(sound, step.fft)[:: step.hop][:frames]
        mels = np.empty((frames, step.mels))
        rows = BLOCK // step.fft
        for start in range(0, frames, rows):
            spectrum = np.abs(rfft(views[start : start + rows] * self._window))
            if step.power == 2:
                spectrum *= spectrum
            # Band by band: most bins weigh nothing in most of them, and no library's threads are asked for.
            for band, (first, weights) in enumerate(self._filters):
                mels[start : start + rows, band] = (spectrum[:, first : first + len(weights)] * weights).sum(axis=1)
        return mels


def _filters(weights: Doubles) -> Iterator[tuple[int, Doubles]]:
    """Give each band's first bin that weighs something, and the weights from there to the last such bin."""
    for row in weights:
        (heavy,) = np.nonzero(row)
        # A band narrower than the distance of two bins may have none; it is zero everywhere.
        yield (int(heavy[0]), row[heavy[0] : heavy[-1] + 1]) if len(heavy) else (0, row[:0])


def scaled(mels: Doubles, step: LogMel) -> Doubles:
    """Return the logarithm of bands, bounded from below, moved and stretched."""
    mels = np.maximum(mels, step.floor) if step.floor_by == "clip" else mels + step.floor
    match step.log:
        case "natural":
            mels = np.log(mels)
        case "log10":
            mels = np.log10(mels)
        case "decibel":
            mels = 10 * np.log10(mels)
        case "none":
            pass
    if step.top is not None:
        mels = np.maximum(mels, mels.max() - step.top)
    return (mels + step.offset) * step.factor
