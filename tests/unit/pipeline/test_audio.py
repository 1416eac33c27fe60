"""Sound as files, samples and windows: every way of writing a sample means the same number, and what is no sound is refused."""

import struct
import wave
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import TensorError
from edged.pipeline.kernels import compile_stage
from edged.pipeline.kernels.audio import decode_wav
from edged.pipeline.kernels.wav import WavError
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import DecodePcm, DecodeWav, Window
from edged.pipeline.steps.audio import MAX_VALUES
from edged.pipeline.steps.base import MisfitError
from tests.golden.pipeline.audio import EXTENSION, wav
from tests.golden.pipeline.vectors import texts

WAV = DecodeWav(input="file", output="sound", rate=16000)
SOUND = DecodePcm(input="raw", output="sound")

sounds = hnp.arrays(np.float32, st.integers(1, 60), elements=st.floats(-1, 1, width=32))


def run(step, **arrays):
    return compile_stage([step], {}, None).run(arrays)[step.output]


def typed(dtype, *shape, name="sound"):
    return {name: TensorSpec(name=name, dtype=dtype, shape=shape)}


@given(hnp.arrays(np.int16, st.integers(0, 50)))
def test_samples_are_their_32768ths(samples):
    sound = run(SOUND, raw=samples)

    assert sound.dtype == np.float32
    assert sound.tolist() == [value / 32768 for value in samples.tolist()]


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@settings(max_examples=30)
@given(data=st.data())
def test_files_hold_what_the_wave_module_wrote(bits, data):
    """The standard library packs frames; here each integer is read as the formula in the step's description."""
    channels = data.draw(st.integers(1, 3))
    samples = data.draw(
        st.lists(st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=channels, max_size=channels))
    )
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(bits // 8)
        writer.setframerate(16000)
        flat = [value + 128 if bits == 8 else value for frame in samples for value in frame]
        writer.writeframes(b"".join(value.to_bytes(bits // 8, "little", signed=bits != 8) for value in flat))

    sound = decode_wav(file.getvalue(), WAV)

    wanted = [sum(value / 2 ** (bits - 1) for value in frame) / channels for frame in samples]
    assert sound.dtype == np.float32
    # The sum of three channels may be rounded in another order; a double has 29 bits to spare.
    np.testing.assert_allclose(sound, np.array(wanted, dtype=np.float32), rtol=1.2e-7, atol=1e-16)


@given(sounds)
def test_floats_come_back_as_they_are(sound):
    assert decode_wav(wav(sound.astype("<f4").tobytes(), tag=3, bits=32), WAV).tolist() == sound.tolist()


def test_a_file_longer_than_a_block_is_whole():
    """Samples are converted in blocks; none of them is lost where two meet."""
    samples = np.arange(3 * 65536 + 7).astype(np.int16)

    assert decode_wav(wav(samples.tobytes(), channels=1), WAV).tolist() == (samples / 32768).tolist()


def test_other_chunks_are_passed_over_with_the_byte_that_makes_them_even():
    file = wav(struct.pack("<2h", 1, 2), before=b"LIST\x03\0\0\0abc\0junk\x01\0\0\0d\0")

    assert decode_wav(file, WAV).tolist() == [1 / 32768, 2 / 32768]


GOOD = wav(struct.pack("<2h", 1, 2))


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (b"", "not a RIFF file"),
        (b"RIFF\0\0\0\0AVI ", "not a RIFF file"),
        (b"RIFX" + GOOD[4:], "not a RIFF file"),
        (GOOD[:12], "no format"),
        (GOOD[:36], "no data"),
        (GOOD[:40], "chunk at byte 36 is cut off"),
        (GOOD[:-1], "says it has 4 bytes, 3 are left"),
        (GOOD[:40] + b"\xff\xff\xff\xff" + GOOD[44:], "says it has 4294967295 bytes, 4 are left"),
        (GOOD[:12] + GOOD[36:], "data come before their format"),
        (wav(b"\0\0\0"), "3 bytes, each sample 2"),
        (wav(b"", channels=0), "0 channels"),
        (wav(b"", tag=2, bits=16), "tag 2 with 16 bits"),
        (wav(b"", bits=12), "tag 1 with 12 bits"),
        (wav(b"", tag=3, bits=16), "tag 3 with 16 bits"),
        (wav(b"", tag=0xFFFE), "no known sub-format"),
        (wav(b"", tag=0xFFFE, extension=EXTENSION[:-1] + b"?"), "no known sub-format"),
        (GOOD[:32] + b"\x03\0" + GOOD[34:], "1 channels of 16 bits in 3 bytes"),
        (GOOD[:16] + b"\x0e\0\0\0" + GOOD[20:34] + GOOD[36:], "14 bytes, 16 are needed"),
        (wav(b"", rate=8000), "8000 samples a second, 16000 are taken"),
        (wav(bytes(10)), "5 samples, at most 4"),
        (wav(struct.pack("<f", np.nan), tag=3, bits=32), "not finite"),
        (wav(struct.pack("<2f", np.inf, -np.inf), tag=3, bits=32, channels=2), "not finite"),
    ],
)
def test_files_that_are_refused_say_why(file, why):
    step = DecodeWav(input="file", output="sound", rate=16000, max_samples=4)

    with pytest.raises(TensorError, match=f"decode_wav@1 does not take file: .*{why}"):
        run(step, file=texts(file))


@given(cut=st.integers(0, len(GOOD)), at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_damaged_files_are_read_or_refused_and_nothing_else(cut, at, byte):
    damaged = bytearray(GOOD)
    damaged[at] = byte
    try:
        sound = decode_wav(bytes(damaged[:cut]), WAV)
    except WavError:
        return
    assert np.isfinite(sound).all()


@settings(max_examples=60)
@given(
    sound=sounds,
    size=st.integers(1, 20),
    hop=st.integers(1, 20),
    padding=st.sampled_from(["none", "end", "centre"]),
)
def test_windows_are_what_their_description_says(sound, size, hop, padding):
    step = Window(input="sound", output="frames", size=size, hop=hop, padding=padding)
    padded = sound.tolist()
    if padding == "centre":
        padded = [0.0] * (size // 2) + padded + [0.0] * (size // 2)
    if padding == "end":
        while len(padded) < size or (len(padded) - size) % hop:
            padded.append(0.0)
    wanted = [padded[start : start + size] for start in range(0, len(padded) - size + 1, hop)]

    if not wanted:
        with pytest.raises(MisfitError, match="1 to"):
            step.gives(typed("FP32", len(sound)))
        with pytest.raises(TensorError, match=r"window@1 .* sound has 0 in"):
            run(step, sound=sound)
        return

    frames = run(step, sound=sound)

    assert frames.tolist() == wanted
    assert step.gives(typed("FP32", len(sound)))[0].shape == frames.shape
    assert step.gives(typed("FP32", -1))[0].shape == (-1, size)


@settings(max_examples=40)
@given(samples=st.integers(1, 200), size=st.integers(1, 30), hop=st.integers(1, 30))
def test_with_zeros_at_the_end_every_sample_is_in_a_window(samples, size, hop):
    hop = min(hop, size)
    frames = run(
        Window(input="sound", output="frames", size=size, hop=hop, padding="end"),
        sound=np.arange(1, samples + 1, dtype=np.float32),
    )

    assert set(range(1, samples + 1)) <= set(frames.ravel().tolist())
    assert frames[-1].any()


def test_windows_that_would_not_fit_into_memory_are_refused_before_they_are_made():
    step = Window(input="sound", output="frames", size=1 << 16, hop=1)
    sound = np.zeros((1 << 16) + MAX_VALUES // (1 << 16), dtype=np.float32)

    with pytest.raises(TensorError, match="1 to 256 frames, sound has 257"):
        run(step, sound=sound)
    with pytest.raises(MisfitError, match="which has 257"):
        step.gives(typed("FP32", len(sound)))


@pytest.mark.parametrize(
    ("step", "spec", "key"),
    [
        (SOUND, typed("FP32", 4, name="raw"), "input"),
        (SOUND, typed("INT16", 1, 4, name="raw"), "input"),
        (WAV, typed("BYTES", 2, name="file"), "input"),
        (WAV, typed("UINT8", -1, name="file"), "input"),
        (Window(input="sound", output="frames", size=4, hop=1), typed("FP64", 8), "input"),
        (Window(input="sound", output="frames", size=4, hop=1), typed("FP32", 1, 8), "input"),
        (Window(input="sound", output="frames", size=4, hop=1), typed("FP32", 3), "input"),
    ],
)
def test_a_pipeline_with_other_tensors_is_refused(step, spec, key):
    with pytest.raises(MisfitError) as caught:
        step.gives(spec)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("step", "array"),
    [
        (SOUND, np.zeros(3, dtype=np.int32)),
        (SOUND, np.zeros((1, 3), dtype=np.int16)),
        (WAV, texts(b"", b"")),
        (WAV, np.zeros(1, dtype=np.uint8)),
        (Window(input="sound", output="frames", size=4, hop=1), np.zeros(9)),
        (Window(input="sound", output="frames", size=4, hop=1), np.zeros((9, 1), dtype=np.float32)),
    ],
)
def test_a_request_with_other_tensors_is_refused(step, array):
    with pytest.raises(TensorError, match=f"{type(step).__struct_config__.tag} takes .*, {step.input} is"):
        run(step, **{step.input: array})
