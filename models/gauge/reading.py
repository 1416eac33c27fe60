"""Reads pictures with an exported model, as ONNX Runtime on a device does."""

import numpy as np
import numpy.typing as npt
import onnxruntime

from models.gauge.drawing import Pixels
from models.gauge.sets import normalize

BATCH = 50

Floats = npt.NDArray[np.floating]


def read_with_onnxruntime(model: bytes, pictures: Pixels) -> tuple[Floats, Floats]:
    """Run a model on one core.

    Args:
        model: The ONNX file's content.
        pictures: Shape (n, 128, 128).

    Returns:
        Angles in degrees and confidences, each of shape (n,).
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    angles, confidences = [], []
    for begin in range(0, len(pictures), BATCH):
        angle, confidence = session.run(["angle", "confidence"], {"image": normalize(pictures[begin : begin + BATCH])})
        angles.append(angle[:, 0])
        confidences.append(confidence[:, 0])
    return np.concatenate(angles), np.concatenate(confidences)
