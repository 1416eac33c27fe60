"""Reads WAV files: which samples there are, and how they are written. ``DecodeWav`` says what is taken and what is refused."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PCM: Final = 1
FLOAT: Final = 3
EXTENSIBLE: Final = 0xFFFE
# KSDATAFORMAT_SUBTYPE_*: the format's tag, and the same 14 bytes after it.
SUB_FORMAT: Final = bytes.fromhex("000000001000800000aa00389b71")

BLOCK: Final = 1 << 16
"""Samples a channel that are converted at a time, so that the doubles in between stay small."""


class WavError(ValueError):
    """A file is no WAV file that can be read; the message says why, without naming the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wav:
    """A WAV file's samples, as they are written."""

    is_float: bool
    bits: int
    channels: int
    rate: int
    data: memoryview
    """Whole samples of all channels."""

    @property
    def frame_bytes(self) -> int:
        """The bytes of one sample of all channels."""
        return self.channels * self.bits // 8

    @property
    def samples(self) -> int:
        """Of each channel."""
        return len(self.data) // self.frame_bytes


def read_wav(file: bytes | memoryview) -> Wav:
    """Find the format and the samples in a file.

    Raises:
        WavError: It is no WAV file, has an unknown format, or ends too early.
    """
    view = memoryview(file)
    if len(view) < 12 or (view[:4].tobytes(), view[8:12].tobytes()) != (b"RIFF", b"WAVE"):
        raise WavError("it is not a RIFF file of form WAVE")
    form: Wav | None = None
    for name, chunk in _chunks(view):
        if name == b"fmt " and form is None:
            form = _format(chunk)
        elif name == b"data":
            if form is None:
                raise WavError("its data come before their format")
            if len(chunk) % form.frame_bytes:
                raise WavError(f"its data have {len(chunk)} bytes, each sample {form.frame_bytes}")
            return Wav(is_float=form.is_float, bits=form.bits, channels=form.channels, rate=form.rate, data=chunk)
    raise WavError("it has no data" if form else "it has no format")


def _chunks(view: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    start = 12
    while start < len(view):
        if len(view) - start < 8:
            raise WavError(f"the chunk at byte {start} is cut off")
        name, size = struct.unpack_from("<4sI", view, start)
        if size > len(view) - start - 8:
            raise WavError(f"the chunk at byte {start} says it has {size} bytes, {len(view) - start - 8} are left")
        yield name, view[start + 8 : start + 8 + size]
        start += 8 + size + size % 2


def _format(chunk: memoryview) -> Wav:
    if len(chunk) < 16:
        raise WavError(f"its format has {len(chunk)} bytes, 16 are needed")
    tag, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != SUB_FORMAT:
            raise WavError("its extensible format has no known sub-format")
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if (tag, bits) not in {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32)}:
        raise WavError(f"its format is tag {tag} with {bits} bits")
    if not channels or align != channels * bits // 8:
        raise WavError(f"its format has {channels} channels of {bits} bits in {align} bytes")
    return Wav(is_float=tag == FLOAT, bits=bits, channels=channels, rate=rate, data=memoryview(b""))


def mono(wav: Wav) -> NDArray[np.float32]:
    """Return the mean of the channels.

    Raises:
        WavError: A sample is not finite.
    """
    output = np.empty(wav.samples, dtype=np.float32)
    for start in range(0, wav.samples, BLOCK):
        block = wav.data[start * wav.frame_bytes : (start + BLOCK) * wav.frame_bytes]
        values = _values(block, wav).reshape(-1, wav.channels)
        if wav.is_float and not np.isfinite(values).all():
            raise WavError("it has a sample that is not finite")
        output[start : start + len(values)] = values.mean(axis=1)
    return output


def _values(block: memoryview, wav: Wav) -> NDArray[np.float64]:
    """Return samples as doubles, which hold all of them exactly."""
    if wav.is_float:
        return np.frombuffer(block, dtype="<f4").astype(np.float64)
    if wav.bits == 8:
        return (np.frombuffer(block, dtype=np.uint8).astype(np.float64) - 128) / 128
    if wav.bits == 24:
        # The three bytes become the upper ones of 32 bits, which makes them 256 times as large.
        wide = np.zeros((len(block) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(block, dtype=np.uint8).reshape(-1, 3)
        return wide.view("<i4")[:, 0].astype(np.float64) / 2.0**31
    return np.frombuffer(block, dtype=f"<i{wav.bits // 8}").astype(np.float64) / 2.0 ** (wav.bits - 1)
