"""The comparison that decides whether a model answers as it did: outputs against golden data, within tolerances.

Pure: the same comparison runs at the publisher's and on the device. What a tolerance asks for, all of which has to hold:

- ``absolute``, ``relative``, ``period``: of each element, see ``closeness.distance_beyond``. A tolerance that asks for nothing else, or
  an output without one, asks for equal elements.
- ``cosine``: of each row, see ``closeness.direction_beyond``. ``label_set``: of each sample, see ``closeness.labels_beyond``; only here
  the shape may be another.
- ``top_1``: of all rows of all samples together, which ``Agreement`` counts: a single row may be another, so a sample alone never fails.

Whatever is asked for, an output that is missing, has another datatype or shape, or has NaN or an infinity in it, is a difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.bundle.kit import Golden, Sample, mistake
from edged.bundle.manifest import Tolerance
from edged.pipeline.datatypes import NUMBERS, unpack
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor, check_tensor, elements_of
from edged.validation.closeness import (
    Numbers,
    best_elements,
    direction_beyond,
    distance_beyond,
    labels_beyond,
    odd_number,
    text_beyond,
)

_FOR_NUMBERS = ("absolute", "relative", "cosine", "top_1", "period")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output that is not as it should be."""

    sample: str | None
    """None for what was found over all samples."""
    output: str
    reason: str

    def __str__(self) -> str:
        where = "all samples" if self.sample is None else f"sample {self.sample}"
        return f"{where}, output {self.output}: {self.reason}"


def tolerances_of(common: Sequence[Tolerance], own: Sequence[Tolerance]) -> dict[str, Tolerance]:
    """Return the tolerances of a variant by output: its own, and those for all variants where it has none."""
    return {tolerance.output: tolerance for tolerance in (*common, *own)}


def mistake_in_tolerance(tolerance: Tolerance, spec: TensorSpec) -> str:
    """Say why a tolerance cannot be applied to an output; empty when it can."""
    if spec.dtype == "BYTES":
        given = [name for name in _FOR_NUMBERS if getattr(tolerance, name) is not None]
        return f"{given[0]} is for numbers, the output is BYTES" if given else ""
    if tolerance.label_set is not None:
        return f"label_set is for BYTES, the output is {spec.dtype}"
    if tolerance.top_1 is not None and (not spec.shape or spec.shape[-1] == 1):
        return "top_1 is for rows of several elements, the output has one in a row"
    return ""


def compare(sample: Sample, outputs: Mapping[str, Tensor], tolerances: Mapping[str, Tolerance]) -> list[Difference]:
    """Compare a model's outputs for one sample with the golden ones.

    Args:
        sample: The sample with its golden outputs, all of them as data.
        outputs: By name.
        tolerances: By output; one without an entry must be equal.

    Returns:
        Every output beyond its tolerance, with the worst that is wrong with it; empty when the sample passes. Golden data that are no
        tensor are a difference, too.

    Raises:
        TensorError: The bytes of a tensor are not those of its datatype and shape.
    """
    differences = []
    for golden in sample.golden:
        actual = outputs.get(golden.name)
        tolerance = tolerances.get(golden.name, Tolerance(output=golden.name))
        reason = "is missing" if actual is None else _difference(golden, actual, tolerance)
        if reason:
            differences.append(Difference(sample=sample.name, output=golden.name, reason=reason))
    return differences


class Agreement:
    """Counts, over all samples of a kit, whose largest element is where the golden one is.

    Args:
        tolerances: By output; those without ``top_1`` are not counted.
    """

    def __init__(self, tolerances: Mapping[str, Tolerance]) -> None:
        self._least = {name: item.top_1 for name, item in tolerances.items() if item.top_1 is not None}
        self._rows = dict.fromkeys(self._least, 0)
        self._alike = dict.fromkeys(self._least, 0)
        self._first: dict[str, str] = {}

    def add(self, sample: Sample, outputs: Mapping[str, Tensor]) -> None:
        """Count a sample's rows; all of an output that is missing or of another datatype or shape, or has NaN in it, disagree."""
        for golden in sample.golden:
            if golden.name not in self._least:
                continue
            want = best_elements(_numbers(golden), golden.shape)
            actual = outputs.get(golden.name)
            if actual is None or (actual.dtype, actual.shape) != (golden.dtype, golden.shape):
                have = [-1] * len(want)
            else:
                have = best_elements(unpack(actual.dtype, actual.data), actual.shape)
            self._rows[golden.name] += len(want)
            unlike = [row for row in range(len(want)) if have[row] != want[row]]
            self._alike[golden.name] += len(want) - len(unlike)
            if unlike and golden.name not in self._first:
                row = unlike[0]
                found = f"element {have[row]}" if have[row] >= 0 else "nothing"
                self._first[golden.name] = f"sample {sample.name}, row {row}: {found}, golden element {want[row]}"

    def close(self) -> list[Difference]:
        """Return the outputs that agree in too few rows."""
        return [
            Difference(
                sample=None,
                output=name,
                reason=f"top 1 agrees in {self._alike[name]} of {rows} rows, which is {self._alike[name] / rows:.3g}; "
                f"allowed is no less than {self._least[name]:g}; the first that does not: {self._first[name]}",
            )
            for name, rows in self._rows.items()
            if rows and self._alike[name] / rows < self._least[name]
        ]


def _difference(golden: Golden, actual: Tensor, tolerance: Tolerance) -> str:
    check_tensor(actual)
    if reason := mistake(golden, golden.dtype):
        return f"golden {reason}"
    if actual.dtype != golden.dtype:
        return f"is {actual.dtype}, golden {golden.dtype}"
    is_set = golden.dtype == "BYTES" and tolerance.label_set is not None
    if actual.shape != golden.shape and not is_set:
        return f"shape is {list(actual.shape)}, golden {list(golden.shape)}"
    return (_difference_of_texts if golden.dtype == "BYTES" else _difference_of_numbers)(golden, actual, tolerance)


def _difference_of_texts(golden: Golden, actual: Tensor, tolerance: Tolerance) -> str:
    got = [item.decode("utf-8", "replace") for item in elements_of(actual, memoryview(actual.data))]
    wanted = [str(value) for value in golden.data]
    if tolerance.label_set is not None:
        return labels_beyond(got, wanted, tolerance.label_set)
    return text_beyond(got, wanted, golden.shape)


def _difference_of_numbers(golden: Golden, actual: Tensor, tolerance: Tolerance) -> str:
    got, wanted = unpack(actual.dtype, actual.data), _numbers(golden)
    # What is equal is close in every way; most answers on the machine that made the golden ones are.
    if got == wanted:
        return ""
    return odd_number(got, wanted, golden.shape) or _beyond(got, wanted, golden.shape, tolerance)


def _beyond(got: Numbers, golden: Numbers, shape: Sequence[int], tolerance: Tolerance) -> str:
    of_elements = tolerance.absolute is not None or tolerance.relative is not None
    of_rows = tolerance.cosine is not None or tolerance.top_1 is not None
    if (of_elements or not of_rows) and (reason := distance_beyond(got, golden, shape, tolerance)):
        return reason
    return "" if tolerance.cosine is None else direction_beyond(got, golden, shape, tolerance.cosine)


def _numbers(golden: Golden) -> tuple[float, ...]:
    """Return golden values as the datatype has them: in JSON 1.0 is an integer, too, and floats cannot tell large ones apart."""
    values: tuple[float, ...] = golden.data  # type: ignore[assignment]  # ``mistake`` has found no text
    return tuple(map(float if NUMBERS[golden.dtype].is_float else int, values))
