"""Golden cases of ``edged.pipeline.steps.graph``."""

import numpy as np

from edged.pipeline.steps.graph import Graph, GraphTensor
from tests.fakes import models
from tests.golden.pipeline.vectors import case

CASES = [
    case(
        "other names in the graph than in the pipeline",
        Graph(
            file="add.onnx",
            inputs=(GraphTensor(name="x", tensor="rows", dtype="FP32", shape=(-1, 4)),),
            outputs=(GraphTensor(name="y", tensor="more", dtype="FP32", shape=(-1, 4)),),
        ),
        {"rows": np.arange(8, dtype=np.float32).reshape(2, 4)},
        files={"add.onnx": models.add_model(0.5)},
    ),
    case(
        "bytes to scores",
        Graph(
            file="classify.onnx",
            inputs=(GraphTensor(name="bytes", tensor="window", dtype="INT32", shape=(-1, 8)),),
            outputs=(GraphTensor(name="scores", tensor="counts", dtype="FP32", shape=(-1, 3)),),
        ),
        {"window": np.array([[0, 1, 2, 1, 1, 9, 0, 1]], dtype=np.int32)},
        files={"classify.onnx": models.classifier_model()},
    ),
]
