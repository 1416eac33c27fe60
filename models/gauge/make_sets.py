"""Writes the sets that quantization needs: ``python -m models.gauge.make_sets --out DIR``.

``calibration.npz`` has ``image`` alone, with pictures of every kind, also without a needle; ``evaluation.npz`` has ``image`` and
``truth.angle`` (degrees, shape (n, 1)) for pictures with one. Both are in the form that ``edge-publish quantize`` reads, and are made anew
instead of being kept: the seeds are in ``models.gauge.sets``.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from models.gauge.sets import CALIBRATION_SEED, EVALUATION_SEED, make_set, normalize


def write_calibration(path: Path, count: int) -> None:
    """Write pictures to measure the ranges of values on."""
    np.savez(path, image=normalize(make_set(CALIBRATION_SEED, count).pictures))


def write_evaluation(path: Path, count: int) -> None:
    """Write those of the first ``count`` evaluation dials that have a needle, with its angle."""
    dials = make_set(EVALUATION_SEED, count)
    has_needle = ~np.isnan(dials.angles)
    truth = dials.angles[has_needle, None].astype(np.float32)
    arrays: dict[str, Any] = {"image": normalize(dials.pictures[has_needle]), "truth.angle": truth}
    np.savez(path, **arrays)


def main() -> None:
    """Write both sets."""
    parser = argparse.ArgumentParser(prog="python -m models.gauge.make_sets", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory, made when missing")
    parser.add_argument("--calibration", type=int, default=200, help="pictures (%(default)s)")
    parser.add_argument("--evaluation", type=int, default=1_000, help="pictures (%(default)s)")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    write_calibration(out / "calibration.npz", arguments.calibration)
    write_evaluation(out / "evaluation.npz", arguments.evaluation)
    for name in ("calibration.npz", "evaluation.npz"):
        print(f"{out / name}: {(out / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
