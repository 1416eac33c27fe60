"""A complete bundle whose pipeline ends in labels: it says which small byte a file has most of."""

import json
from pathlib import Path

from edged.publish.building.build import build_bundle
from tests.fakes.models import classifier_model

LABELS = "nought\none\ntwo\n"


def make_labelled_bundle(directory: Path) -> Path:
    """Build the bundle and return its directory."""
    sources = directory / "sources"
    sources.mkdir(parents=True)
    (sources / "model.onnx").write_bytes(classifier_model(classes=3, window=8))
    (sources / "labels.txt").write_text(LABELS)
    (sources / "ones.bin").write_bytes(bytes([1] * 20))
    golden = {"name": "label", "dtype": "BYTES", "shape": [1, 1], "data": ["one"]}
    kit = {"schema": 1, "reference": "by hand", "samples": [{"name": "ones", "input": "ones.bin", "golden": [golden]}]}
    (sources / "kit.json").write_text(json.dumps(kit))
    (sources / "recipe.toml").write_text(_RECIPE)
    return build_bundle(sources / "recipe.toml", directory, report=lambda _line: None)


_RECIPE = """\
name = "labelled"
version = "1.0.0"
files = [{ source = "labels.txt", path = "labels.txt", role = "labels" }]

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 1000.0, memory_bytes = 134217728 }

[pipeline]
inputs = [{ name = "file", dtype = "BYTES", shape = [1] }]
pre = [{ op = "bytes_window@1", input = "file", output = "bytes", begin = 4, end = 4, block = 64, padding = 9 }]
post = [
  { op = "top_k@1", input = "scores", values = "score", indices = "index", k = 1 },
  { op = "labels@1", input = "index", output = "label", file = "labels.txt" },
]
outputs = [{ name = "label", dtype = "BYTES", shape = [1, 1] }]

[validation]
kit = "kit.json"
tolerance = [{ output = "label" }]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""
