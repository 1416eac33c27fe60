"""What the steps of ``edged.pipeline.steps.audio`` compute."""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edged.errors import TensorError
from edged.pipeline.kernels.base import Array, Arrays, Compile, Kernel, Resources, refused, single_file
from edged.pipeline.kernels.mel import Spectrum, scaled
from edged.pipeline.kernels.wav import WavError, mono, read_wav
from edged.pipeline.steps.audio import MAX_VALUES, DecodePcm, DecodeWav, LogMel, Window


def decode_wav(file: bytes | memoryview, step: DecodeWav) -> NDArray[np.float32]:
    """Return a WAV file as one channel.

    Raises:
        WavError: The step does not take it.
    """
    wav = read_wav(file)
    if wav.rate != step.rate:
        raise WavError(f"it has {wav.rate} samples a second, {step.rate} are taken")
    if wav.samples > step.max_samples:
        raise WavError(f"it has {wav.samples} samples, at most {step.max_samples} are taken")
    return mono(wav)


def window(sound: NDArray[np.float32], step: Window, frames: int) -> NDArray[np.float32]:
    """Return so many parts of a sound, [frames, size]."""
    before = step.size // 2 if step.padding == "centre" else 0
    after = max(0, (frames - 1) * step.hop + step.size - before - len(sound))
    padded = np.pad(sound, (before, after)) if before or after else sound
    return sliding_window_view(padded, step.size)[:: step.hop][:frames].copy()


def log_mel(sound: NDArray[np.float32], step: LogMel, spectrum: Spectrum, frames: int) -> NDArray[np.float32]:
    """Return the bands of a sound, [frames, mels]."""
    if step.centre != "none":
        sound = np.pad(sound, step.fft // 2, mode=step.centre)
    # Only samples far beyond any sound, or odd numbers in the step, come to more than FP32 holds; the step says what they become.
    with np.errstate(over="ignore"):
        return scaled(spectrum.of(sound, frames), step).astype(np.float32)


def _decode_pcm(step: DecodePcm, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        samples = arrays[step.input]
        if samples.dtype != np.int16 or samples.ndim != 1:
            raise refused(samples, "decode_pcm@1", step.input, "INT16 [n]")
        return {step.output: samples.astype(np.float32) / np.float32(32768)}

    return kernel


def _decode_wav(step: DecodeWav, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        try:
            return {step.output: decode_wav(single_file(arrays[step.input], "decode_wav@1", step.input), step)}
        except WavError as exc:
            raise TensorError(f"step decode_wav@1 does not take {step.input}: {exc}") from exc

    return kernel


def _window(step: Window, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        sound = _sound(arrays[step.input], "window@1", step.input)
        return {step.output: window(sound, step, _frames(sound, step, "window@1", step.size))}

    return kernel


def _log_mel(step: LogMel, _: Resources) -> Kernel:
    spectrum = Spectrum(step)

    def kernel(arrays: Arrays) -> Arrays:
        sound = _sound(arrays[step.input], "log_mel@1", step.input)
        frames = _frames(sound, step, "log_mel@1", step.mels)
        if not np.isfinite(sound).all():
            raise TensorError(f"step log_mel@1 takes finite samples, {step.input} has others")
        return {step.output: log_mel(sound, step, spectrum, frames)}

    return kernel


def _sound(array: Array, op: str, name: str) -> NDArray[np.float32]:
    if array.dtype != np.float32 or array.ndim != 1:
        raise refused(array, op, name, "FP32 [n]")
    return array.astype(np.float32, copy=False)


def _frames(sound: NDArray[np.float32], step: Window | LogMel, op: str, values: int) -> int:
    """Return how many frames a sound has.

    Raises:
        TensorError: None, or too many.
    """
    frames = step.frames(len(sound))
    if not 1 <= frames <= MAX_VALUES // values:
        raise TensorError(
            f"step {op} takes sounds of 1 to {MAX_VALUES // values} frames,"
            f" {step.input} has {max(frames, 0)} in {len(sound)} samples"
        )
    return frames


KERNELS: Final[dict[type, Compile]] = {
    DecodePcm: _decode_pcm,
    DecodeWav: _decode_wav,
    Window: _window,
    LogMel: _log_mel,
}
