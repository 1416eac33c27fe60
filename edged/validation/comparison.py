"""The comparison that decides whether a model answers as it did: outputs against golden data, within tolerances.

Pure: the same comparison runs at the publisher's and on the device.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.bundle.kit import Golden, Sample, mistake
from edged.bundle.manifest import Tolerance
from edged.pipeline.datatypes import NUMBERS, unpack
from edged.runtime.tensors import Tensor, check_tensor, elements_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output of one sample that is not as it should be."""

    sample: str
    output: str
    reason: str

    def __str__(self) -> str:
        return f"sample {self.sample}, output {self.output}: {self.reason}"


def compare(sample: Sample, outputs: Mapping[str, Tensor], tolerances: Sequence[Tolerance]) -> list[Difference]:
    """Compare a model's outputs for one sample with the golden ones.

    Args:
        sample: The sample with its golden outputs.
        outputs: By name.
        tolerances: How far each output may be off; one without an entry must be equal.

    Returns:
        Every difference beyond its tolerance; empty when the sample passes. NaN never passes. Golden data that are no tensor, and
        tensors of another datatype or shape than the golden ones, are differences, too.

    Raises:
        TensorError: The bytes of a tensor are not those of its datatype and shape.
    """
    allowed = {tolerance.output: tolerance.absolute or 0.0 for tolerance in tolerances}
    differences = []
    for golden in sample.golden:
        actual = outputs.get(golden.name)
        reason = "is missing" if actual is None else _difference(golden, actual, allowed.get(golden.name, 0.0))
        if reason:
            differences.append(Difference(sample=sample.name, output=golden.name, reason=reason))
    return differences


def _difference(golden: Golden, actual: Tensor, absolute: float) -> str:
    check_tensor(actual)
    if reason := mistake(golden, golden.dtype):
        return f"golden {reason}"
    if actual.shape != golden.shape:
        return f"shape is {list(actual.shape)}, golden {list(golden.shape)}"
    if actual.dtype != golden.dtype:
        return f"is {actual.dtype}, golden {golden.dtype}"
    if golden.dtype == "BYTES":
        found = [item.decode("utf-8", "replace") for item in elements_of(actual, memoryview(actual.data))]
        pairs = zip(found, golden.data, strict=True)
        return next((f"is {got!r}, golden {want!r}" for got, want in pairs if got != want), "")
    return _difference_of_numbers(golden, unpack(actual.dtype, actual.data), absolute)


def _difference_of_numbers(golden: Golden, values: Sequence[float], absolute: float) -> str:
    """Return the worst difference; integers are compared as such, because floats cannot tell large ones apart."""
    number, form = (float, ".6g") if NUMBERS[golden.dtype].is_float else (int, "d")
    wanted = [number(value) for value in golden.data]
    off = [abs(got - want) for got, want in zip(values, wanted, strict=True)]
    # NaN compares false with everything; it is as far off as can be.
    off = [math.inf if math.isnan(distance) else distance for distance in off]
    worst = max(range(len(off)), key=off.__getitem__, default=None)
    if worst is None or off[worst] <= absolute:
        return ""
    return f"element {worst} is {values[worst]:{form}}, golden {wanted[worst]:{form}}, tolerance {absolute:g}"
