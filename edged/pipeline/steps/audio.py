"""Steps on sound: from recorded samples to what models hear. Sound is FP32 [n] with one channel, as a rule from -1 to 1."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.base import MisfitError, OneToOne, wanted
from edged.pipeline.steps.files import file_of

Rate = Annotated[int, msgspec.Meta(ge=1, le=768_000)]
"""Samples of one channel a second."""
Size = Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
Hertz = Annotated[float, msgspec.Meta(ge=0, le=384_000)]
Finite = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]

MAX_VALUES = 1 << 24
"""Most values that a step on sound gives: 64 MiB."""


class DecodePcm(OneToOne, frozen=True, kw_only=True, tag="decode_pcm@1"):
    """Samples as integers, divided by 32768. ``input`` is INT16 [n]; ``output`` is FP32 [n], from -1 up to but not including 1."""

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same length."""
        spec = wanted(known, self.input, "INT16", rank=1)
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class DecodeWav(OneToOne, frozen=True, kw_only=True, tag="decode_wav@1"):
    """A WAV file as one channel. ``input`` is BYTES [1]; ``output`` is FP32 [n].

    The file is RIFF (little-endian) of form WAVE: chunks with a name, a size and an even number of bytes, of which the first ``fmt ``
    and the first ``data`` after it count. Other chunks are passed over, and the size that the file begins with is not looked at. Formats
    are PCM (tag 1) of 8, 16, 24 or 32 bits and IEEE float (tag 3) of 32 bits, as they are or as the sub-format of
    WAVE_FORMAT_EXTENSIBLE. All bits of an integer count: 8 bits are unsigned with 128 for zero, the others are signed; each is divided by
    two to the power of its bits less one. The channels' mean is taken in double precision and rounded once. A float that is not finite
    is refused; one beyond -1 to 1 stays as it is.

    Refused are also another sampling rate than ``rate`` (nothing is resampled), more than ``max_samples`` samples a channel, and
    a file that is shorter than its chunks say.
    """

    rate: Rate
    max_samples: Annotated[int, msgspec.Meta(ge=1, le=MAX_VALUES)] = 1 << 22

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of any length."""
        file_of(known, self.input)
        return (TensorSpec(name=self.output, dtype="FP32", shape=(-1,)),)


class Window(OneToOne, frozen=True, kw_only=True, tag="window@1"):
    """Parts of a sound that may overlap. ``input`` is FP32 [n]; ``output`` is FP32 [frames, size].

    Frame i begins at sample i * ``hop`` of the padded sound. ``padding`` is one of

    - none: there are as many frames as fit, 1 + (n - size) // hop; samples after the last are left out; n < size is refused.
    - end: there are 1 + max(0, ceil((n - size) / hop)) frames, and zeros after the last sample as they need them. Each sample is in a
      frame unless ``hop`` is larger than ``size``.
    - centre: size // 2 zeros are added at both ends, and then as for none: with an even size frame i is centred on sample i * hop.

    More than 2**24 values in all are refused.
    """

    size: Size
    hop: Size
    padding: Literal["none", "end", "centre"] = "none"

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 [frames, size]."""
        samples = wanted(known, self.input, "FP32", rank=1).shape[0]
        frames = _frames(samples, self.frames(samples), self.size)
        return (TensorSpec(name=self.output, dtype="FP32", shape=(frames, self.size)),)

    def frames(self, samples: int) -> int:
        """Return how many frames so many samples are; zero or less if they are too few."""
        match self.padding:
            case "none":
                return 1 + (samples - self.size) // self.hop
            case "end":
                return 1 + max(0, -((self.size - samples) // self.hop))
            case "centre":
                return 1 + (samples + self.size // 2 * 2 - self.size) // self.hop


class LogMel(OneToOne, frozen=True, kw_only=True, tag="log_mel@1"):
    """How loud a sound is over time in bands of pitch. ``input`` is FP32 [n]; ``output`` is FP32 [frames, mels].

    1. With ``centre`` constant or reflect, ``fft`` // 2 samples are added at both ends: zeros, or the samples mirrored at the first and at
       the last one, which are not repeated; reflect refuses n <= fft // 2.
    2. Frame i is the ``fft`` samples from i * ``hop`` on; there are 1 + (padded n - fft) // hop, one less with ``drop_last``. A sound with
       none is refused.
    3. Each frame is multiplied by a periodic Hann window, w[k] = 0.5 - 0.5 cos(2 pi k / window) for k < ``window`` (``fft`` if it is not
       given), in the middle of ``fft`` values: (fft - window) // 2 zeros come before it, the rest after it.
    4. The magnitudes of its discrete Fourier transform, bins 0 to fft // 2, to the power of ``power``.
    5. The bands are ``mels`` triangles over frequency. mels + 2 points lie at equal distances on the mel scale, from ``lowest_hz`` to
       ``highest_hz`` (``rate`` / 2 if it is not given). Band m rises from 0 at point m to 1 at point m + 1 and falls to 0 at point m + 2,
       linearly in hertz, and weighs bin b by its height at b * rate / fft; ``norm`` slaney divides it by half its width in hertz.
       ``scale`` htk: mel = 2595 log10(1 + f / 700). ``scale`` slaney: mel = 3 f / 200 below 1000 Hz, from there on
       mel = 15 + 27 ln(f / 1000) / ln(6.4).
    6. ``floor`` is the least value (``floor_by`` clip) or is added to it (add). Then ``log``: natural, log10, decibel (10 log10), or none.
    7. With ``top``, values smaller than the greatest one of the sound less ``top`` become that.
    8. ``offset`` is added, and the sum multiplied by ``factor``. What is beyond FP32 becomes infinite.

    All is computed in double precision and rounded once to FP32. Libraries for Fourier transforms differ in the last bits: answers
    agree within 1e-5, relative and absolute. More than 2**24 values are refused, and so is a sound that is not finite.

    Whisper's features, for example: rate 16000, fft 400, hop 160, mels 80, centre reflect, drop_last, power 2, slaney both, log10 with
    a floor of 1e-10, top 8, offset 4, factor 0.25; then transposed. librosa's melspectrogram and power_to_db: log decibel, top 80.
    """

    rate: Rate
    fft: Annotated[int, msgspec.Meta(ge=2, le=1 << 15)]
    window: Annotated[int, msgspec.Meta(ge=1, le=1 << 15)] | None = None
    hop: Size
    mels: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    centre: Literal["none", "constant", "reflect"] = "none"
    drop_last: bool = False
    power: Literal[1, 2] = 2
    scale: Literal["slaney", "htk"] = "slaney"
    norm: Literal["slaney", "none"] = "slaney"
    lowest_hz: Hertz = 0.0
    highest_hz: Hertz | None = None
    log: Literal["natural", "log10", "decibel", "none"] = "natural"
    floor: Annotated[float, msgspec.Meta(ge=1e-30, le=1.0)] = 1e-10
    floor_by: Literal["clip", "add"] = "clip"
    top: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    offset: Finite = 0.0
    factor: Finite = 1.0

    @property
    def band_hz(self) -> tuple[float, float]:
        """The frequencies where the first band begins and the last one ends."""
        return self.lowest_hz, self.rate / 2 if self.highest_hz is None else self.highest_hz

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 [frames, mels]."""
        samples = wanted(known, self.input, "FP32", rank=1).shape[0]
        if self.window is not None and self.window > self.fft:
            raise MisfitError("window", expected=f"at most {self.fft}, as fft", found=self.window)
        lowest, highest = self.band_hz
        if not lowest < highest <= self.rate / 2:
            raise MisfitError(
                "highest_hz", expected=f"more than {lowest} and at most {self.rate / 2}, half the rate", found=highest
            )
        frames = _frames(samples, self.frames(samples), self.mels)
        return (TensorSpec(name=self.output, dtype="FP32", shape=(frames, self.mels)),)

    def frames(self, samples: int) -> int:
        """Return how many frames so many samples are; zero or less if they are too few."""
        ends = 0 if self.centre == "none" else self.fft // 2
        if self.centre == "reflect" and samples <= ends:
            return 0
        return 1 + (samples + 2 * ends - self.fft) // self.hop - self.drop_last


def _frames(samples: int, frames: int, values: int) -> int:
    """Return the frames of a sound of known length, -1 of another.

    Args:
        samples: Of the sound; -1: any number.
        frames: That so many samples are.
        values: Of each frame.

    Raises:
        MisfitError: There are none, or too many.
    """
    if samples < 0:
        return -1
    if not 1 <= frames <= MAX_VALUES // values:
        raise MisfitError(
            "input",
            expected=f"a sound of 1 to {MAX_VALUES // values} frames",
            found=f"one of {samples} samples, which has {max(frames, 0)}",
        )
    return frames
