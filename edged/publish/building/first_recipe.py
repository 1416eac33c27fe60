"""A first recipe for an ONNX model: what the model says itself is filled in, and every other field is explained by a comment. Pure.

The text is a recipe as it stands, so that building it tells what is still missing: the kit.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from edged.bundle.manifest import Precision
from edged.onnx.protobuf import Field, WireType, read_fields
from edged.pipeline.spec import TensorSpec

MIB: Final = 1 << 20
WORKING_BYTES: Final = 64 * MIB
"""Assumed beside the weights until the kit has been measured."""
# onnx.proto: ModelProto.graph, GraphProto.initializer, TensorProto.dims and data_type, TensorProto.DataType.
_GRAPH, _INITIALIZER, _DIMS, _DATA_TYPE = 7, 5, 1, 2
_PRECISIONS: Final[dict[int, Precision]] = {
    1: "fp32",
    2: "int8",
    3: "int8",
    10: "fp16",
    16: "bf16",
    21: "int4",
    22: "int4",
}


def name_from(stem: str) -> str:
    """Make a model's name of a file's, as near to it as the rules for names allow."""
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:63].rstrip("-._")
    return name or "model"


def precision_of(model: bytes) -> Precision:
    """Return the number format that most of a model's weights are in; the model was found safe."""
    elements: Counter[Precision] = Counter()
    for graph in _within(model, 0, len(model), _GRAPH):
        for tensor in _within(model, graph.start, graph.end, _INITIALIZER):
            count, data_type = 1, 0
            for field in read_fields(model, tensor.start, tensor.end):
                if field.wire is WireType.VARINT and field.number == _DIMS:
                    count *= field.value
                elif field.wire is WireType.VARINT and field.number == _DATA_TYPE:
                    data_type = field.value
            if (precision := _PRECISIONS.get(data_type)) is not None:
                elements[precision] += count
    return elements.most_common(1)[0][0] if elements else "fp32"


def first_recipe(
    *,
    name: str,
    file: str,
    size_bytes: int,
    precision: Precision,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
) -> str:
    """Write a recipe.

    Args:
        name: Of the bundle.
        file: The model's, relative to the recipe.
        size_bytes: Of that file.
        precision: Of most of its weights.
        inputs: The model's.
        outputs: The model's.
    """
    memory = -(-(2 * size_bytes + WORKING_BYTES) // MIB) * MIB
    return _TEXT.format(
        name=_quoted(name),
        file=_quoted(file),
        precision=precision,
        memory=memory,
        inputs=_tensors(inputs),
        outputs=_tensors(outputs),
        tolerances="".join(f"  {_tolerance(spec)},\n" for spec in outputs),
    )


def _tensors(specs: Sequence[TensorSpec]) -> str:
    return "".join(
        f'  {{ name = {_quoted(spec.name)}, dtype = "{spec.dtype}", shape = {list(spec.shape)} }},\n' for spec in specs
    )


def _tolerance(spec: TensorSpec) -> str:
    limits = ", absolute = 0.001, relative = 0.001" if spec.dtype.startswith("FP") else ""
    return f"{{ output = {_quoted(spec.name)}{limits} }}"


def _quoted(text: str) -> str:
    """Write a TOML string; JSON's escapes are TOML's, but for one character that TOML wants escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _within(data: bytes, start: int, end: int, number: int) -> list[Field]:
    return [f for f in read_fields(data, start, end) if f.number == number and f.wire is WireType.LENGTH]


_TEXT: Final = """\
# A recipe for edge-publish bundle build. Paths are relative to this file.
# edge-publish bundle schema recipe prints every field there is.

name = {name}               # what apps ask for: lower-case letters, digits, dots, dashes
version = "0.1.0"           # semantic version; a published one is never changed, so raise it with every change

# Files that steps read or that belong to the model: role labels, tokenizer, graph, licence or document.
# [[files]]
# source = "labels.txt"
# path = "labels.txt"       # in the bundle
# role = "labels"

# One build of the model. Add more for other machines; each device takes the best that it can run.
# edge-publish quantize makes smaller ones, edge-publish bundle match says which machine would take which.
[[variants]]
model = {file}
tier = "quality"            # quality, speed or memory: what this build is best at
precision = "{precision}"          # fp32, fp16, bf16, int8 or int4: what most of its weights are

[variants.targets]
arch = ["amd64", "arm64"]
# min_memory_bytes = 1073741824      # of the whole machine as its kernel counts it: less than it is sold with
# cpu_features = ["dotprod"]         # all that it needs: avx2, vnni, neon, dotprod, fp16 ...

# Devices refuse a build that takes more. Validate on the slowest machine it is for, then write down what that needs.
[variants.budget]
latency_ms = 1000.0         # median of one request, steps included
memory_bytes = {memory}     # beyond what an empty worker has
# power_watts = 1.0         # what a device draws more than idle while it runs

# What apps send, the steps before and after the model, and what apps get. Without steps: the model's own tensors.
# -1 is an axis of any size.
[pipeline]
inputs = [
{inputs}]
# pre = [{{ op = "...", input = "...", output = "..." }}]
# post = [{{ op = "softmax@1", input = "...", output = "..." }}]
outputs = [
{outputs}]

# 10 to 50 samples with the answers of a reference, by which every device judges the model before it uses it.
[validation]
kit = "kit"                 # a directory with kit.json
tolerance = [               # how far an answer may be from the reference's; nothing given asks for equality
{tolerances}]

[provenance]
source = {file}             # where the model came from, for people: an address, a package and version, a training run
licence = "LicenseRef-unknown"       # an SPDX expression, such as Apache-2.0
# supplier = "..."          # who answers for the model
# training_config = "training.yaml"  # its SHA-256 is recorded
"""
