"""Writes the validation kit: ``python -m models.gauge.make_kit --model models/gauge/gauge-fp32.onnx --out models/gauge/kit``.

Twenty dials as PNG files, spread around the circle, with what the fp32 model answers and with the truth. Pictures go through the steps of
``gauge.toml`` done again with Pillow and numpy alone, so that the kit also judges edged's own steps. Sixteen have the model's size; the
others are larger, two of them with the proportions of a camera, and are brought to it by the pipeline.
"""

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from PIL import Image

from models.gauge.dials import Dial, choose_dial
from models.gauge.drawing import SIZE, Pixels, draw_dial
from models.gauge.reading import read_with_onnxruntime
from models.gauge.sets import KIT_SEED

SIZES: Final = ((SIZE, SIZE),) * 16 + ((160, 160), (256, 256), (160, 120), (200, 150))
"""Width and height of each sample."""
LARGEST_NOISE: Final = 0.02
"""Noise does not compress."""
LARGEST_RADIUS: Final = 0.35
"""Of a dial that is drawn into the middle of a wide picture, of which the model sees the middle square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KitSample:
    """One picture of the kit with its truth."""

    name: str
    picture: Image.Image
    truth: float


def choose_samples() -> Iterator[KitSample]:
    """Choose the kit's dials: sample ``n`` points into the ``n``-th twentieth of the circle, and all can be read well."""
    for place, (width, height) in enumerate(SIZES):
        number, dial = next(
            (number, dial)
            for number in range(len(SIZES) * 1000)
            if _suits(dial := choose_dial(KIT_SEED, number), place, is_wide=width > height)
        )
        if dial.angle is None:
            raise ValueError(f"dial {number} has no needle")
        above = (width - height) // 2
        pixels = draw_dial(dial, width)[above : above + height]
        yield KitSample(name=f"dial-{place:02}-{width}x{height}", picture=Image.fromarray(pixels), truth=dial.angle)


def prepare(picture: Image.Image) -> Pixels:
    """Bring a grey picture to the model's size: the smallest that covers it, of which the middle is taken (``resize@1``, ``cover``)."""
    width, height = picture.size
    short = min(width, height)
    size = ((2 * width * SIZE + short) // (2 * short), (2 * height * SIZE + short) // (2 * short))
    left, above = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
    resized = picture.resize(size, Image.Resampling.BILINEAR) if size != picture.size else picture
    return np.asarray(resized.crop((left, above, left + SIZE, above + SIZE)), np.uint8)


def _suits(dial: Dial, place: int, *, is_wide: bool) -> bool:
    if dial.angle is None or int(dial.angle / 360 * len(SIZES)) != place:
        return False
    is_in_the_middle = max(abs(middle - 0.5) for middle in dial.camera.centre) < 0.03
    return dial.light.noise <= LARGEST_NOISE and (
        not is_wide or (dial.camera.radius < LARGEST_RADIUS and is_in_the_middle)
    )


def kit_document(samples: list[KitSample], model: bytes) -> dict[str, Any]:
    """Return ``kit.json``: what the model answers to each sample, and the truth."""
    answers = read_with_onnxruntime(model, np.stack([prepare(sample.picture) for sample in samples]))
    return {
        "schema": 1,
        "reference": f"gauge-fp32.onnx on ONNX Runtime {onnxruntime.__version__}, {platform.machine()}",
        "samples": [
            {
                "name": sample.name,
                "input": f"{sample.name}.png",
                "golden": [_value("angle", angle), _value("confidence", confidence)],
                "truth": [_value("angle", sample.truth)],
            }
            for sample, angle, confidence in zip(samples, *answers, strict=True)
        ],
    }


def _value(name: str, value: float) -> dict[str, Any]:
    return {"name": name, "dtype": "FP32", "shape": [1, 1], "data": [float(np.float32(value))]}


def main() -> None:
    """Write the PNG files and ``kit.json``."""
    parser = argparse.ArgumentParser(prog="python -m models.gauge.make_kit", description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="directory, made when missing")
    arguments = parser.parse_args()
    model, out = arguments.model, arguments.out
    out.mkdir(parents=True, exist_ok=True)
    samples = list(choose_samples())
    for sample in samples:
        sample.picture.save(out / f"{sample.name}.png", optimize=True)
    document = kit_document(samples, model.read_bytes())
    (out / "kit.json").write_text(json.dumps(document, indent=1) + "\n")
    for sample, entry in zip(samples, document["samples"], strict=True):
        angle, confidence = (golden["data"][0] for golden in entry["golden"])
        print(f"{sample.name}: {angle:.2f} degrees, confidence {confidence:.2f}; truth {sample.truth:.2f}")


if __name__ == "__main__":
    main()
