"""Asking the demonstration's two models, and holding what they answer against what is true."""

import json
from pathlib import Path
from typing import Final

from demo.magika import SCORE_TOLERANCE, Answer
from demo.processes import DemoFailedError, infer

GAUGE: Final = Path(__file__).parents[1] / "models/gauge"
GAUGES: Final = 8
"""How many pictures of gauges are read in the demonstration."""
GAUGE_LIMIT_DEGREES: Final = 2.5


def compare(device: Path, samples: dict[str, bytes], answers: dict[str, Answer], *, rows: int | None = None) -> None:
    """Ask the device about each file, print a table, and hold every answer against the package's.

    Raises:
        DemoFailedError: One differs.
    """
    print(f"{'file':<18}{'answer':<12}{'confidence':>10}  {'variant':<24}{'latency':>9}")
    different = []
    for name in list(samples)[:rows]:
        reply, latency_ms = infer(device, "magika", samples[name])
        outputs = {output["name"]: output["data"][0] for output in reply["outputs"]}
        label, score = outputs["label"], outputs["score"]
        variant = reply["parameters"]["variant"]
        print(f"{name:<18}{label:<12}{score:>10.4f}  {variant:<24}{latency_ms:>6.1f} ms")
        if label != answers[name].label or abs(score - answers[name].score) > SCORE_TOLERANCE:
            different.append(
                f"{name}: {label} {score:.4f}, magika says {answers[name].label} {answers[name].score:.4f}"
            )
    if different:
        raise DemoFailedError("answers differ from the magika package's:\n  " + "\n  ".join(different))
    print(f"{len(samples) if rows is None else rows} answers, all equal to the magika package's")


def read_gauges(device: Path) -> None:
    """Send pictures of dials, as files, and hold the readings against where the needles really point.

    Raises:
        DemoFailedError: They are further off, on average, than the model's own limit.
    """
    kit = json.loads((GAUGE / "kit/kit.json").read_text())
    print(f"{'picture':<24}{'needle':>8}{'reading':>9}{'off':>7}  {'sure':>5}  {'variant':<24}{'latency':>9}")
    errors = []
    for sample in kit["samples"][:GAUGES]:
        picture = (GAUGE / "kit" / sample["input"]).read_bytes()
        reply, latency_ms = infer(device, "gauge", picture)
        read = {output["name"]: output["data"][0] for output in reply["outputs"]}
        true = next(item["data"][0] for item in sample["truth"] if item["name"] == "angle")
        off = (read["angle"] - true + 180) % 360 - 180
        errors.append(abs(off))
        print(
            f"{sample['input']:<24}{true:>8.1f}{read['angle']:>9.1f}{off:>+7.1f}  {read['confidence']:>5.2f}  "
            f"{reply['parameters']['variant']:<24}{latency_ms:>6.1f} ms"
        )
    mean = sum(errors) / len(errors)
    if mean > GAUGE_LIMIT_DEGREES:
        raise DemoFailedError(f"readings are {mean:.1f} degrees off on average, {GAUGE_LIMIT_DEGREES:g} is the limit")
    print(f"{len(errors)} dials read, {mean:.1f} degrees off on average")
