"""The bands of ``log_mel@1`` against its published formulas, written out as loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.errors import TensorError
from edged.pipeline.kernels import compile_stage
from edged.pipeline.kernels.mel import bands, hann, hertz_of, mel_of
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import LogMel
from edged.pipeline.steps.base import MisfitError


def step(**keys):
    return LogMel(**{"input": "sound", "output": "mel", "rate": 8000, "fft": 32, "hop": 8, "mels": 5} | keys)


def run(made, sound):
    return compile_stage([made], {}, None).run({"sound": sound})["mel"]


def noise(samples, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


def mel(hertz, scale):
    if scale == "htk":
        return 2595 * math.log10(1 + hertz / 700)
    # Slaney, Auditory Toolbox 2 (1998): linear with 200/3 Hz a mel below 1000 Hz, 27 logarithmic steps to a factor of 6.4 above.
    return hertz / (200 / 3) if hertz < 1000 else 15 + math.log(hertz / 1000) / (math.log(6.4) / 27)


def hertz_at(wanted, scale):
    """Invert by bisection, so that nothing of the inverse's own formula is believed."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if mel(middle, scale) < wanted else (low, middle)
    return low


def reference(made, sound):
    """Follow the step's description one number at a time."""
    sound, fft = [float(value) for value in sound], made.fft
    if made.centre == "constant":
        sound = [0.0] * (fft // 2) + sound + [0.0] * (fft // 2)
    if made.centre == "reflect":
        sound = sound[fft // 2 : 0 : -1] + sound + sound[-2 : -2 - fft // 2 : -1]
    length = made.window or fft
    window = [0.0] * fft
    for k in range(length):
        window[(fft - length) // 2 + k] = 0.5 - 0.5 * math.cos(2 * math.pi * k / length)
    low = mel(made.lowest_hz, made.scale)
    high = mel(made.rate / 2 if made.highest_hz is None else made.highest_hz, made.scale)
    points = [hertz_at(low + (high - low) * i / (made.mels + 1), made.scale) for i in range(made.mels + 2)]
    rows = []
    starts = range(0, len(sound) - fft + 1, made.hop)
    for start in list(starts)[: -1 if made.drop_last else None]:
        frame = [sound[start + k] * window[k] for k in range(fft)]
        powers = []
        for b in range(fft // 2 + 1):
            real = math.fsum(value * math.cos(2 * math.pi * b * k / fft) for k, value in enumerate(frame))
            imaginary = math.fsum(value * math.sin(2 * math.pi * b * k / fft) for k, value in enumerate(frame))
            powers.append(math.hypot(real, imaginary) ** made.power)
        row = []
        for m in range(made.mels):
            left, middle, right = points[m : m + 3]
            total = 0.0
            for b, power in enumerate(powers):
                hertz = b * made.rate / fft
                if left < hertz < right:
                    up, down = (hertz - left) / (middle - left), (right - hertz) / (right - middle)
                    total += power * min(up, down) * (2 / (right - left) if made.norm == "slaney" else 1)
            total = max(total, made.floor) if made.floor_by == "clip" else total + made.floor
            logs = {"natural": math.log, "log10": math.log10, "decibel": lambda x: 10 * math.log10(x), "none": float}
            row.append(logs[made.log](total))
        rows.append(row)
    if made.top is not None:
        least = max(map(max, rows)) - made.top
        rows = [[max(value, least) for value in row] for row in rows]
    return np.array([[(value + made.offset) * made.factor for value in row] for row in rows])


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"scale": "htk", "norm": "none", "power": 1, "log": "decibel", "top": 20.0},
        {"centre": "constant", "fft": 33, "window": 20, "lowest_hz": 60.0, "highest_hz": 3600.0},
        {"centre": "reflect", "drop_last": True, "log": "log10", "top": 8.0, "offset": 4.0, "factor": 0.25},
        {"log": "none", "floor": 0.25, "floor_by": "add", "rate": 44100},
        {"window": 1, "hop": 40, "mels": 30},
    ],
)
def test_bands_are_those_of_the_formulas(keys):
    # It grows louder, so that the greatest value of the sound is not that of its first frames.
    made, sound = step(**keys), noise(90) * np.logspace(-3, 0, 90, dtype=np.float32)

    np.testing.assert_allclose(run(made, sound), reference(made, sound), rtol=1e-5, atol=1e-5)


def test_the_slaney_scale_has_its_published_values():
    """As the documentation of librosa's ``hz_to_mel`` and ``mel_frequencies(n_mels=40)`` prints them."""
    np.testing.assert_allclose(mel_of(np.array([60.0, 110, 220, 440]), "slaney"), [0.9, 1.65, 3.3, 6.6])
    points = hertz_of(np.linspace(0, mel_of(np.array([11025.0]), "slaney")[0], 40), "slaney")
    np.testing.assert_allclose(points[[1, 2, 11, 12, 38]], [85.317, 170.635, 938.49, 1024.856, 10096.408], atol=5e-4)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@given(st.floats(0, 20000))
def test_both_directions_of_a_scale_agree(scale, hertz):
    assert hertz_of(mel_of(np.array([hertz]), scale), scale)[0] == pytest.approx(hertz, abs=1e-6)


@given(fft=st.integers(2, 80), window=st.integers(1, 80))
def test_the_window_is_periodic_and_in_the_middle(fft, window):
    made = hann(step(fft=fft, window=min(window, fft)))

    length = min(window, fft)
    start = (fft - length) // 2
    assert made[start] == 0
    assert not made[:start].any()
    assert not made[start + length :].any()
    np.testing.assert_allclose(made[start + 1 : start + length], made[start + 1 : start + length][::-1], atol=1e-12)


def test_triangles_without_a_norm_add_up_to_one_between_the_outer_points():
    weights = bands(step(fft=512, mels=10, norm="none", lowest_hz=100.0))
    points = hertz_of(np.linspace(*mel_of(np.array([100.0, 4000.0]), "slaney"), 12), "slaney")
    bins = np.arange(257) * 8000 / 512

    np.testing.assert_allclose(weights.sum(axis=0)[(bins >= points[1]) & (bins <= points[-2])], 1)


def test_a_tone_is_loudest_in_the_band_around_it():
    made = step(fft=256, hop=128, mels=12)
    middles = hertz_of(np.linspace(0, mel_of(np.array([4000.0]), "slaney")[0], 14), "slaney")[1:-1]
    for band, hertz in enumerate(middles):
        sound = np.sin(2 * np.pi * hertz * np.arange(1024) / 8000).astype(np.float32)
        assert run(made, sound).mean(axis=0).argmax() == band


@settings(max_examples=50)
@given(
    samples=st.integers(0, 80),
    hop=st.integers(1, 50),
    fft=st.integers(2, 40),
    centre=st.sampled_from(["none", "constant", "reflect"]),
    drop_last=st.booleans(),
)
def test_there_are_as_many_frames_as_said(samples, hop, fft, centre, drop_last):
    made = step(hop=hop, fft=fft, centre=centre, drop_last=drop_last)
    spec = {"sound": TensorSpec(name="sound", dtype="FP32", shape=(samples,))}
    try:
        said = made.gives(spec)[0].shape
    except MisfitError:
        with pytest.raises(TensorError, match=f"log_mel@1 .* in {samples} samples"):
            run(made, noise(samples))
        return

    assert run(made, noise(samples)).shape == said


def test_frames_in_two_blocks_are_those_of_one():
    """The transform goes through long sounds in blocks of about a million values."""
    made, sound = step(fft=1 << 15, hop=1 << 13, mels=4), noise((1 << 15) + 40 * (1 << 13))

    alone = [run(made, sound[i << 13 : (i << 13) + (1 << 15)])[0] for i in (0, 31, 32, 40)]

    np.testing.assert_allclose(run(made, sound)[[0, 31, 32, 40]], alone, rtol=1e-6)


def test_what_is_beyond_a_float_becomes_infinite():
    loud = np.full(32, 3e38, dtype=np.float32)

    assert np.isposinf(run(step(log="none"), loud)).any()


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"window": 33}, "window"),
        ({"highest_hz": 4001.0}, "highest_hz"),
        ({"lowest_hz": 4000.0}, "highest_hz"),
        ({"lowest_hz": 300.0, "highest_hz": 300.0}, "highest_hz"),
    ],
)
def test_steps_that_contradict_themselves_are_refused(keys, key):
    with pytest.raises(MisfitError) as caught:
        step(**keys).gives({"sound": TensorSpec(name="sound", dtype="FP32", shape=(-1,))})
    assert caught.value.key == key


@pytest.mark.parametrize("sound", [np.zeros(64), np.zeros((1, 64), dtype=np.float32), noise(31)])
def test_sounds_that_are_none_are_refused(sound):
    with pytest.raises(TensorError, match="log_mel@1 takes"):
        run(step(), sound)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sound_that_is_not_finite_is_refused(value):
    sound = noise(64)
    sound[63] = value

    with pytest.raises(TensorError, match="finite"):
        run(step(), sound)


def test_bands_that_would_not_fit_into_memory_are_refused_before_they_are_made():
    made = step(fft=2, hop=1, mels=1024)

    with pytest.raises(TensorError, match="1 to 16384 frames"):
        run(made, np.zeros(16386, dtype=np.float32))
