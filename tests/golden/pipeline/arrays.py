"""Golden cases of ``edged.pipeline.steps.arrays``."""

import numpy as np

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.arrays import Cast, Normalize, Pad, PadTo
from tests.golden.pipeline.vectors import case

FLOATS = np.array([-1e30, -128.5, -2.5, -0.5, 0.0, 0.5, 1.5, 254.5, 255.5, 1e30, np.nan, np.inf, -np.inf], np.float32)
HALVES = np.array([-65504, -0.5, 0.49, 1.5, 65504, np.inf, np.nan], np.float16)
LONGS = np.array([-(2**63), -129, -1, 0, 1, 127, 128, 2**31, 2**63 - 1], np.int64)
RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3) * 11
ROWS = np.array([[1, 2, 3], [4, 5, 6]], np.int16)


def _to(to):
    return Cast(input="x", output="y", to=to)


def _pad(filling, value=0.0):
    return Pad(input="x", output="y", before=(0, 2), after=(1, 1), filling=filling, value=value)


def _pad_to(length, **keys):
    return PadTo(input="x", output="y", axis=1, length=length, **keys)


CASES = [
    case("floats to bytes", _to("UINT8"), {"x": FLOATS}),
    case("floats to signed bytes", _to("INT8"), {"x": FLOATS}),
    case("floats to long integers", _to("INT64"), {"x": FLOATS}),
    case("floats to the longest integers", _to("UINT64"), {"x": FLOATS}),
    case("floats to shorter floats", _to("FP16"), {"x": FLOATS}),
    case("floats to truth", _to("BOOL"), {"x": FLOATS}),
    case("short floats to integers beyond their range", _to("UINT16"), {"x": HALVES}),
    case("long integers to short ones", _to("INT8"), {"x": LONGS}),
    case("signed integers to unsigned ones", _to("UINT64"), {"x": LONGS}),
    case("long integers to floats", _to("FP32"), {"x": LONGS}),
    case("truth to floats", _to("FP32"), {"x": np.array([True, False])}),
    case(
        "an image on the scale of ImageNet",
        Normalize(input="x", output="y", scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        {"x": RGB},
        types=(TensorSpec(name="x", dtype="UINT8", shape=(-1, -1, 3)),),
    ),
    case(
        "channels on the first axis", Normalize(input="x", output="y", mean=(1.0, 4.0), std=(0.3,), axis=0), {"x": ROWS}
    ),
    case("sound", Normalize(input="x", output="y", scale=1 / 32768), {"x": np.array([-32768, 0, 1, 32767], np.int16)}),
    case("what is too large", Normalize(input="x", output="y", scale=1e30), {"x": FLOATS}),
    case("with a value", _pad("constant", -7), {"x": ROWS}),
    case("with the edge", _pad("edge"), {"x": ROWS}),
    case("with the reflection", _pad("reflect"), {"x": ROWS}),
    case("with a fraction", _pad("constant", 0.1), {"x": ROWS.astype(np.float32)}),
    case("at the end", _pad_to(5, value=9), {"x": ROWS}),
    case("at the start", _pad_to(5, side="start"), {"x": ROWS}),
    case("on both sides", _pad_to(6, side="both", filling="edge"), {"x": ROWS}),
    case("cut at the end", _pad_to(2, longer="cut"), {"x": ROWS}),
    case("cut at the start", _pad_to(2, side="start", longer="cut"), {"x": ROWS}),
    case("cut on both sides", _pad_to(1, side="both", longer="cut"), {"x": np.arange(8, dtype=np.uint8).reshape(2, 4)}),
    case(
        "as long as it is",
        _pad_to(3, side="both", longer="cut"),
        {"x": ROWS},
        types=(TensorSpec(name="x", dtype="INT16", shape=(2, -1)),),
    ),
]
