"""Writes the trained network as ONNX and checks it: ``python -m models.gauge.export CHECKPOINT --out models/gauge/gauge-fp32.onnx``."""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch

from edged.onnx.safety import check_model
from models.gauge.graph import build_model
from models.gauge.metrics import errors_in_degrees
from models.gauge.network import CONVOLUTIONS, GaugeNetwork
from models.gauge.reading import read_with_onnxruntime
from models.gauge.sets import EVALUATION_SEED, make_set
from models.gauge.train import read

DIALS: Final = 100
TOLERANCE_DEG: Final = 0.01
"""Between torch and ONNX Runtime: both compute in single precision, in another order."""


def main() -> None:
    """Export a checkpoint and compare it with torch on fresh dials."""
    parser = argparse.ArgumentParser(prog="python -m models.gauge.export", description=main.__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file")
    arguments = parser.parse_args()
    network = GaugeNetwork()
    network.load_state_dict(torch.load(arguments.checkpoint, weights_only=True))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    model = build_model(weights, [stride for *_, stride in CONVOLUTIONS] + [1])
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    check_model(content)

    dials = make_set(EVALUATION_SEED, DIALS)
    angles, confidences = read_with_onnxruntime(content, dials.pictures)
    torch_angles, torch_confidences = read(network, dials)
    away_deg = float(errors_in_degrees(angles, torch_angles)[torch_confidences > 0.1].max(initial=0))
    away = float(np.abs(confidences - torch_confidences).max())
    print(f"{len(content)} bytes; away from torch on {DIALS} dials: {away_deg:.5f} degrees, confidence {away:.6f}")
    if away_deg > TOLERANCE_DEG:
        raise SystemExit(f"more than {TOLERANCE_DEG} degrees away from torch: the export is wrong")
    arguments.out.write_bytes(content)


if __name__ == "__main__":
    main()
