"""Golden cases of ``edged.pipeline.steps.audio``."""

import struct

import numpy as np

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.audio import DecodePcm, DecodeWav, LogMel, Window
from tests.golden.pipeline.vectors import Tolerance, case, texts

TOLERANCES = {"log_mel@1": Tolerance(relative=1e-5, absolute=1e-5)}
"""Fourier transforms differ in their last bits between versions of numpy and between processors."""

WAV = DecodeWav(input="file", output="sound", rate=16000)
MEL = LogMel(input="sound", output="mel", rate=8000, fft=32, hop=16, mels=5)
OPEN = (TensorSpec(name="sound", dtype="FP32", shape=(-1,)),)


def wav(data, *, tag=1, channels=1, rate=16000, bits=16, extension=b"", before=b""):
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits) + extension
    chunks = before + b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    chunks += b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def tones(samples=100):
    """Two tones as integers first, so that they are the same numbers everywhere."""
    time = np.arange(samples)
    whole = np.round(9000 * np.sin(time * 0.7) + 3000 * np.sin(time * 2.1)).astype(np.int16)
    return whole.astype(np.float32) / np.float32(32768)


EXTENSION = struct.pack("<HHIH", 22, 24, 3, 1) + bytes.fromhex("000000001000800000aa00389b71")

CASES = [
    case(
        "from one end to the other",
        DecodePcm(input="raw", output="sound"),
        {"raw": np.array([-32768, -1, 0, 1, 32767], dtype=np.int16)},
    ),
    case("none", DecodePcm(input="raw", output="sound"), {"raw": np.zeros(0, dtype=np.int16)}),
    case("16 bits", WAV, {"file": texts(wav(struct.pack("<4h", -32768, 0, 1, 32767)))}),
    case("8 bits and an odd number of bytes", WAV, {"file": texts(wav(b"\x00\x80\xff", bits=8))}),
    case(
        "24 bits of two channels, in the extensible format, behind another chunk",
        WAV,
        {
            "file": texts(
                wav(
                    bytes.fromhex("000080 ffff7f 010000 ffffff"),
                    tag=0xFFFE,
                    channels=2,
                    bits=24,
                    extension=EXTENSION,
                    before=b"LIST\x03\0\0\0abc\0",
                )
            )
        },
    ),
    case("32 bits", WAV, {"file": texts(wav(struct.pack("<4i", -(2**31), -1, 2**30, 2**31 - 1), bits=32))}),
    case("floats", WAV, {"file": texts(wav(struct.pack("<4f", -1.5, 0.1, 1e-30, 1), tag=3, bits=32))}),
    case("no sample", WAV, {"file": texts(wav(b""))}),
    case("as many as fit", Window(input="sound", output="frames", size=4, hop=3), {"sound": tones(12)}, types=OPEN),
    case(
        "filled up at the end",
        Window(input="sound", output="frames", size=4, hop=3, padding="end"),
        {"sound": tones(9)},
    ),
    case(
        "centred, of odd size, with samples between",
        Window(input="sound", output="frames", size=3, hop=5, padding="centre"),
        {"sound": tones(11)},
    ),
    case("defaults", MEL, {"sound": tones()}, types=OPEN),
    case(
        "as whisper has it",
        LogMel(
            input="sound",
            output="mel",
            rate=8000,
            fft=32,
            hop=16,
            mels=6,
            centre="reflect",
            drop_last=True,
            log="log10",
            top=8.0,
            offset=4.0,
            factor=0.25,
        ),
        {"sound": tones()},
    ),
    case(
        "magnitudes on the other scale, in a short window, in decibels",
        LogMel(
            input="sound",
            output="mel",
            rate=8000,
            fft=33,
            window=21,
            hop=10,
            mels=4,
            centre="constant",
            power=1,
            scale="htk",
            norm="none",
            lowest_hz=100.0,
            highest_hz=3800.0,
            log="decibel",
            floor=1e-5,
            top=30.0,
        ),
        {"sound": tones(70)},
    ),
    case(
        "without a logarithm, of silence",
        LogMel(input="sound", output="mel", rate=8000, fft=16, hop=16, mels=3, log="none", floor=0.5, floor_by="add"),
        {"sound": np.zeros(16, dtype=np.float32)},
    ),
]
