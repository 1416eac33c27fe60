"""Measures an exported model on dials it has never seen: ``python -m models.gauge.evaluate MODEL.onnx``."""

import argparse
import json
from pathlib import Path

from models.gauge.metrics import measure
from models.gauge.reading import read_with_onnxruntime
from models.gauge.sets import EVALUATION_SEED, make_set


def main() -> None:
    """Print the errors of a model as JSON: of all dials, of those it is sure of, and under each condition."""
    parser = argparse.ArgumentParser(prog="python -m models.gauge.evaluate", description=main.__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--fresh", type=int, default=3_000, help="dials (%(default)s)")
    arguments = parser.parse_args()
    model: Path = arguments.model
    dials = make_set(EVALUATION_SEED, arguments.fresh)
    print(json.dumps(measure(dials, *read_with_onnxruntime(model.read_bytes(), dials.pictures)), indent=2))


if __name__ == "__main__":
    main()
