"""A complete tiny bundle, built by edged's own publisher: it adds up the bytes of a file.

The pipeline is one file of bytes -> ``bytes_window@1`` (INT32 [1, 8]) -> model (Cast, ReduceSum) -> ``sum`` FP32 [1, 1]. Files of up to
four bytes are counted twice, because both windows see them; ``adder_answer`` computes what comes out.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

with warnings.catch_warnings():
    # Debian 13's protobuf warns about itself when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    import onnx
    from onnx import TensorProto, helper, numpy_helper

from edged.publish.building.build import build_bundle

WINDOW = 4
SAMPLES: Mapping[str, bytes] = {
    "empty.bin": b"",
    "one.bin": b"\x01",
    "words.txt": b"Hello, edge",
    "high.bin": bytes(range(200, 256)),
}


def adder_answer(data: bytes) -> float:
    """Compute ``sum`` for a file, from the description of ``bytes_window@1``: strip, then first and last four bytes, zeros for the rest."""
    return float(sum(data[:64].lstrip()[:WINDOW]) + sum(data[-64:].rstrip()[-WINDOW:]))


def adder_model(*, padding_bytes: int = 0, more: float = 0.0) -> bytes:
    """Make the ONNX model.

    Args:
        padding_bytes: Of unused weights, which make the file larger than one chunk where a test wants that.
        more: Added to every sum, so that one version's answers can be told from another's.
    """
    ballast = numpy_helper.from_array(
        np.arange(max(padding_bytes // 4, 1), dtype=np.int32).astype(np.float32), "ballast"
    )
    zero = numpy_helper.from_array(np.zeros(1, dtype=np.float32), "zero")
    addend = numpy_helper.from_array(np.array([more], dtype=np.float32), "more")
    nodes = [
        helper.make_node("Cast", ["window"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["floats", "last_axis"], ["total"], keepdims=1),
        # Keeps the ballast in use: its sum times nought.
        helper.make_node("ReduceMax", ["ballast"], ["largest"], keepdims=0),
        helper.make_node("Mul", ["largest", "zero"], ["nothing"]),
        helper.make_node("Add", ["total", "nothing"], ["bare_sum"]),
        helper.make_node("Add", ["bare_sum", "more"], ["sum"]),
    ]
    graph = helper.make_graph(
        nodes,
        "adder",
        [helper.make_tensor_value_info("window", TensorProto.INT32, [1, 2 * WINDOW])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 1])],
        [ballast, zero, addend, numpy_helper.from_array(np.array([1], dtype=np.int64), "last_axis")],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="edged-tests"
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_recipe(
    directory: Path,
    *,
    name: str = "adder",
    version: str = "1.0.0",
    golden_offset: float = 0.0,
    padding_bytes: int = 0,
    more: float = 0.0,
    extra: str = "",
) -> Path:
    """Write a recipe with its model and kit into ``directory`` and return the recipe's path.

    Args:
        directory: Made when it is not there.
        name: The model's name.
        version: The bundle's version.
        golden_offset: Added to every golden output; anything above the tolerance of 0.001 makes validation fail.
        padding_bytes: Makes the model file larger by about this much.
        more: Added to every sum.
        extra: TOML to add at the end.
    """
    samples = directory / "kit" / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    (directory / "adder.onnx").write_bytes(adder_model(padding_bytes=padding_bytes, more=more))
    kit = []
    for file, data in SAMPLES.items():
        (samples / file).write_bytes(data)
        golden = [
            {"name": "sum", "dtype": "FP32", "shape": [1, 1], "data": [adder_answer(data) + more + golden_offset]}
        ]
        kit.append({"name": file, "input": f"samples/{file}", "golden": golden})
    document = {"schema": 1, "reference": "tests.fakes.bundles.adder_answer", "samples": kit}
    (directory / "kit" / "kit.json").write_text(json.dumps(document))
    recipe = directory / "recipe.toml"
    recipe.write_text(_RECIPE.format(name=name, version=version) + extra)
    return recipe


def make_bundle(directory: Path, *, name: str = "adder", version: str = "1.0.0", **options: object) -> Path:
    """Build a bundle and return its directory, ``directory/NAME-VERSION``; options as for ``make_recipe``."""
    sources = directory / f"{name}-{version}.sources"
    recipe = make_recipe(sources, name=name, version=version, **options)
    return build_bundle(recipe, directory, report=lambda _line: None)


_RECIPE = """\
name = "{name}"
version = "{version}"

[[variants]]
model = "adder.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 1000.0, memory_bytes = 134217728 }}

[pipeline]
inputs = [{{ name = "file", dtype = "BYTES", shape = [1] }}]
pre = [{{ op = "bytes_window@1", input = "file", output = "window", begin = 4, end = 4, block = 64, padding = 0 }}]
outputs = [{{ name = "sum", dtype = "FP32", shape = [1, 1] }}]

[validation]
kit = "kit"
tolerance = [{{ output = "sum", absolute = 0.001 }}]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""
