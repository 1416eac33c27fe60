"""Complete bundles around models without any step before or after them, built by edged's own publisher."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from edged.publish.building.build import build_bundle
from edged.worker.arrays import datatype_of, to_tensor
from tests.fakes.models import allocating_model, build, constant, helper, loop_model, stubborn_model

Arrays = Mapping[str, np.ndarray]


def make_types_bundle(directory: Path, arrays: Arrays) -> Path:
    """Build ``types``, whose output ``same_NAME`` is its input NAME; one of each array given, of its type and any length."""
    shape = ["n"]
    model = build(
        [helper.make_node("Identity", [name], [f"same_{name}"]) for name in arrays],
        [(name, _element_type(array), shape) for name, array in arrays.items()],
        [(f"same_{name}", _element_type(array), shape) for name, array in arrays.items()],
    )
    outputs = {f"same_{name}": array for name, array in arrays.items()}
    return _make_bundle(directory, "types", model.SerializeToString(), arrays, outputs, free={*arrays, *outputs})


def make_total_bundle(directory: Path, *, version: str = "1.0.0", more: float = 0.0) -> Path:
    """Build ``total``, which adds up the ``x`` (FP32 [1]) of a sequence, and ``more``; ``total`` is its state, ``sum`` its output."""
    model = build(
        [
            helper.make_node("Add", ["x", "total"], ["next_total"]),
            helper.make_node("Add", ["next_total", "nothing"], ["sum"]),
        ],
        [("x", 1, [1]), ("total", 1, [1])],
        [("sum", 1, [1]), ("next_total", 1, [1])],
        initializers=[constant("nothing", [more])],
    )
    one, two, three = (np.array([value], dtype=np.float32) for value in (1.0, 2.0, 3.0 + more))
    state = 'state = [{ input = "total", output = "next_total" }]'
    return _make_bundle(
        directory,
        "total",
        model.SerializeToString(),
        {"x": one, "total": two},
        {"sum": three},
        variant=state,
        version=version,
    )


def make_loop_bundle(directory: Path) -> Path:
    """Build ``loop``, whose ``y`` is its ``x`` (FP32 [1]) after counting to ``times`` (INT64 [1]); it can be stopped in between."""
    x, times = np.array([1.5], dtype=np.float32), np.array([2], dtype=np.int64)
    return _make_bundle(directory, "loop", loop_model(), {"x": x, "times": times}, {"y": x})


def make_stubborn_bundle(directory: Path) -> Path:
    """Build ``stubborn``, whose ``y`` is its ``count`` (INT64 [1]), in a time that is its square, and which nothing stops in between."""
    count = np.array([3], dtype=np.int64)
    return _make_bundle(directory, "stubborn", stubborn_model(), {"count": count}, {"y": count})


def make_hungry_bundle(directory: Path) -> Path:
    """Build ``hungry``, whose ``y`` (FP32) is as many zeros as ``count`` (INT64 [1]) says."""
    inputs, outputs = {"count": np.array([3], dtype=np.int64)}, {"y": np.zeros(3, dtype=np.float32)}
    return _make_bundle(directory, "hungry", allocating_model(), inputs, outputs, free={"y"})


def _element_type(array: np.ndarray) -> int:
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def _make_bundle(
    directory: Path,
    name: str,
    model: bytes,
    inputs: Arrays,
    outputs: Arrays,
    *,
    free: Collection[str] = (),
    variant: str = "",
    version: str = "1.0.0",
) -> Path:
    """Build a bundle whose golden outputs for ``inputs`` are ``outputs``; the tensors named in ``free`` may have any length."""
    sources = directory / f"{name}-{version}.sources"
    sources.mkdir(parents=True)
    (sources / "model.onnx").write_bytes(model)
    sample = {"name": "one", "inputs": [], "golden": []}
    for key, array in inputs.items():
        (sources / key).write_bytes(bytes(to_tensor(key, array).data))
        sample["inputs"].append({"name": key, "shape": array.shape, "file": key})
    for key, array in outputs.items():
        data = [item.decode() if isinstance(item, bytes) else item for item in array.tolist()]
        sample["golden"].append({"name": key, "dtype": datatype_of(array), "shape": array.shape, "data": data})
    (sources / "kit.json").write_text(json.dumps({"schema": 1, "reference": "the arrays", "samples": [sample]}))
    recipe = sources / "recipe.toml"
    recipe.write_text(
        _RECIPE.format(
            name=name,
            version=version,
            variant=variant,
            inputs=_specs(inputs, free=free),
            outputs=_specs(outputs, free=free),
            one=next(iter(outputs)),
        )
    )
    return build_bundle(recipe, directory, report=lambda _line: None)


def _specs(arrays: Arrays, *, free: Collection[str]) -> str:
    return ", ".join(
        f'{{ name = "{name}", dtype = "{datatype_of(array)}", shape = {[-1] if name in free else list(array.shape)} }}'
        for name, array in arrays.items()
    )


_RECIPE = """\
name = "{name}"
version = "{version}"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 1000.0, memory_bytes = 134217728 }}
{variant}

[pipeline]
inputs = [{inputs}]
outputs = [{outputs}]

[validation]
kit = "kit.json"
tolerance = [{{ output = "{one}" }}]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""
