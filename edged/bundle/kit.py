"""The validation kit: samples with golden outputs, and the comparison that decides whether a model answers as it did.

Pure: the same comparison runs in the publisher's pipeline and on the device.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import BundlePath, Tolerance
from edged.codec import Document
from edged.pipeline.spec import Datatype
from edged.pipeline.steps import TensorName


class Golden(Document, frozen=True, kw_only=True):
    """One output as the reference computed it; ``data`` is flat, row-major, BYTES as UTF-8 text."""

    name: TensorName
    dtype: Datatype
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data: tuple[bool | int | float | str, ...]


class Sample(Document, frozen=True, kw_only=True):
    """One input with its golden outputs. ``input`` is a file sent whole as the pipeline's single BYTES input."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    input: BundlePath
    golden: Annotated[tuple[Golden, ...], msgspec.Meta(min_length=1)]


class Kit(Document, frozen=True, kw_only=True):
    """All samples of a bundle."""

    schema: Literal[1]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """What computed the golden outputs, with its version."""
    samples: Annotated[tuple[Sample, ...], msgspec.Meta(min_length=1, max_length=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output of one sample that is not as it should be."""

    sample: str
    output: str
    reason: str

    def __str__(self) -> str:
        return f"sample {self.sample}, output {self.output}: {self.reason}"


def mistake(golden: Golden, dtype: Datatype) -> str:
    """Say why golden data are no tensor of an output's datatype; empty when they are one."""
    if golden.dtype != dtype:
        return f"is {golden.dtype}, the pipeline gives {dtype}"
    if len(golden.data) != math.prod(golden.shape):
        return f"has {len(golden.data)} values for shape {list(golden.shape)}"
    if any(isinstance(value, str) != (dtype == "BYTES") for value in golden.data):
        return f"has values that are no {dtype}"
    if not all(isinstance(value, str) or _is_representable(value, dtype) for value in golden.data):
        return f"has numbers that no {dtype} can hold"
    return ""


def _is_representable(value: float, dtype: Datatype) -> bool:
    if dtype == "BOOL":
        return value in {0, 1}
    numpy_type = np.dtype(dtype.lower().replace("fp", "float"))
    if numpy_type.kind == "f":
        return abs(value) <= float(np.finfo(numpy_type).max)
    limits = np.iinfo(numpy_type)
    return limits.min <= value <= limits.max and value == int(value)


def compare(
    sample: Sample, outputs: Mapping[str, NDArray[np.generic]], tolerances: Sequence[Tolerance]
) -> list[Difference]:
    """Compare a model's outputs for one sample with the golden ones.

    Args:
        sample: The sample with its golden outputs.
        outputs: Arrays by output name; BYTES as object arrays of ``bytes``.
        tolerances: How far each output may be off; one without an entry must be equal.

    Returns:
        Every difference beyond its tolerance; empty when the sample passes. NaN never passes. Golden data that are no tensor, and
        arrays of another kind than the golden ones, are differences, too.
    """
    allowed = {tolerance.output: tolerance.absolute for tolerance in tolerances}
    differences = []
    for golden in sample.golden:
        actual = outputs.get(golden.name)
        reason = "is missing" if actual is None else _difference(golden, actual, allowed.get(golden.name, 0.0))
        if reason:
            differences.append(Difference(sample=sample.name, output=golden.name, reason=reason))
    return differences


def _difference(golden: Golden, actual: NDArray[np.generic], absolute: float) -> str:
    if reason := mistake(golden, golden.dtype):
        return f"golden {reason}"
    if actual.shape != golden.shape:
        return f"shape is {list(actual.shape)}, golden {list(golden.shape)}"
    is_text = golden.dtype == "BYTES"
    if actual.dtype.kind not in ("OSU" if is_text else "biuf"):
        return f"is {actual.dtype}, golden {golden.dtype}"
    if is_text:
        found = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in actual.ravel()]
        pairs = zip(found, golden.data, strict=True)
        return next((f"is {got!r}, golden {want!r}" for got, want in pairs if got != want), "")
    return _difference_of_numbers(golden, actual, absolute)


def _difference_of_numbers(golden: Golden, actual: NDArray[np.generic], absolute: float) -> str:
    if absolute == 0 and not golden.dtype.startswith("FP"):
        # As integers: float64 cannot tell large ones apart.
        exact = enumerate(zip(actual.ravel().tolist(), golden.data, strict=True))
        return next(
            (f"element {i} is {got}, golden {want}, tolerance 0" for i, (got, want) in exact if got != want), ""
        )
    values = actual.ravel().astype(np.float64)
    wanted = np.asarray(golden.data, dtype=np.float64)
    with np.errstate(over="ignore"):
        off = np.abs(values - wanted)
    # Written so that NaN, which compares false with everything, counts as too far.
    too_far = ~(off <= absolute)
    if not too_far.any():
        return ""
    worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
    return f"element {worst} is {values[worst]:.6g}, golden {wanted[worst]:.6g}, tolerance {absolute:g}"
