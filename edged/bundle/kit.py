"""The validation kit: samples with golden outputs, and what is wrong with one that fits no model. Pure."""

import math
import operator
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import structs

from edged.bundle.manifest import BundlePath
from edged.codec import Document
from edged.pipeline.datatypes import NUMBERS, can_hold
from edged.pipeline.spec import MAX_AXIS, Datatype, TensorName, TensorSpec

KIT_NAME: Final = "kit.json"
"""What a kit's document is called in its directory."""


class Golden(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One output as the reference computed it, with its values in ``data`` or, where they are many numbers, in a file."""

    name: TensorName
    dtype: Datatype
    shape: tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_AXIS)], ...]
    data: tuple[bool | int | float | str, ...] = ()
    """Flat, row-major, BYTES as UTF-8 text."""
    file: BundlePath | None = None
    """Row-major and little-endian, as for ``SampleInput``: a device then has the values of one sample in memory at a time."""


class SampleInput(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One of the pipeline's inputs: its bytes in a file, or its values in ``data``, of which exactly one is given."""

    name: TensorName
    shape: tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_AXIS)], ...]
    file: BundlePath | None = None
    """Row-major and little-endian, without a header: what the Open Inference Protocol sends as binary tensor data."""
    data: tuple[bool | int | float, ...] | None = None
    """Flat, row-major."""


class Sample(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Inputs with their golden outputs; either ``input`` or ``inputs`` is given."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    input: BundlePath | None = None
    """A file sent whole as the pipeline's single BYTES input."""
    inputs: Annotated[tuple[SampleInput, ...], msgspec.Meta(max_length=64)] = ()
    """All of the pipeline's inputs."""
    golden: Annotated[tuple[Golden, ...], msgspec.Meta(min_length=1)]
    truth: tuple[Golden, ...] = ()
    """What is really so, of outputs where it is known, in the form of ``golden``; for measures against the truth."""

    @property
    def files(self) -> Sequence[str]:
        """The bundle's files that it is made of."""
        named = [self.input, *(item.file for item in self.inputs), *(golden.file for golden in self.golden)]
        return [path for path in named if path is not None]

    def below(self, directory: str) -> "Sample":
        """Return the sample as it is when its files lie in another directory: each of their paths continues this one."""
        return structs.replace(
            self,
            input=None if self.input is None else f"{directory}/{self.input}",
            inputs=tuple(
                item if item.file is None else structs.replace(item, file=f"{directory}/{item.file}")
                for item in self.inputs
            ),
            golden=tuple(
                item if item.file is None else structs.replace(item, file=f"{directory}/{item.file}")
                for item in self.golden
            ),
        )


class Kit(Document, frozen=True, kw_only=True):
    """All samples of a bundle."""

    schema: Literal[1]
    reference: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """What computed the golden outputs, with its version."""
    samples: Annotated[tuple[Sample, ...], msgspec.Meta(min_length=1, max_length=1000)]


def mistake_in_inputs(sample: Sample, specs: Sequence[TensorSpec]) -> str:
    """Say why a sample is no request to a pipeline with these inputs; empty when it is one."""
    if (sample.input is None) == (not sample.inputs):
        return "has to have either input or inputs"
    if sample.input is not None:
        if len(specs) != 1 or specs[0].dtype != "BYTES" or specs[0].shape not in {(1,), (-1,)}:
            return "is a file, but the pipeline's input is not one tensor of BYTES [1]; use inputs"
        return ""
    wanted = {spec.name: spec for spec in specs}
    if sorted(item.name for item in sample.inputs) != sorted(wanted):
        return f"has other inputs than the pipeline, which has {', '.join(wanted)}"
    return next((why for item in sample.inputs if (why := _mistake_in_input(item, wanted[item.name]))), "")


def _mistake_in_input(item: SampleInput, spec: TensorSpec) -> str:
    if len(item.shape) != len(spec.shape) or any(b not in {-1, a} for a, b in zip(item.shape, spec.shape, strict=True)):
        return f"input {item.name} has shape {list(item.shape)}, the pipeline takes {list(spec.shape)}"
    if (item.file is None) == (item.data is None):
        return f"input {item.name} has to have either file or data"
    if item.data is not None:
        if spec.dtype == "BYTES":
            return f"input {item.name} is BYTES, which only a file can hold"
        if len(item.data) != math.prod(item.shape):
            return f"input {item.name} has {len(item.data)} values for shape {list(item.shape)}"
        if not all(can_hold(spec.dtype, value) for value in item.data):
            return f"input {item.name} has numbers that no {spec.dtype} can hold"
    return ""


def mistake(golden: Golden, dtype: Datatype) -> str:
    """Say why golden data are no tensor of an output's datatype; empty when they are one, or lie in a file."""
    if golden.dtype != dtype:
        return f"is {golden.dtype}, the pipeline gives {dtype}"
    return _mistake_in_data(golden) if golden.file is None else _mistake_in_filed(golden)


def _mistake_in_filed(golden: Golden) -> str:
    if golden.dtype == "BYTES":
        return "is BYTES, which has to be in data"
    return "has both data and a file" if golden.data else ""


def _mistake_in_data(golden: Golden) -> str:
    dtype = golden.dtype
    if len(golden.data) != math.prod(golden.shape):
        return f"has {len(golden.data)} values for shape {list(golden.shape)}"
    kinds = set(map(type, golden.data))
    if kinds - {str} if dtype == "BYTES" else str in kinds:
        return f"has values that are no {dtype}"
    if dtype != "BYTES" and not _can_hold_all(golden.data, dtype, kinds):  # type: ignore[arg-type]  # there is no text
        return f"has numbers that no {dtype} can hold"
    return ""


def _can_hold_all(values: Sequence[float], dtype: Datatype, kinds: set[type]) -> bool:
    """Tell what ``can_hold`` tells of all values together, which may be a hundred thousand: by the functions that loop in C."""
    if not values:
        return True
    if float in kinds and any(map(operator.ne, values, values)):  # NaN, which hides from min and max
        return False
    if float in kinds and not NUMBERS[dtype].is_float:
        return all(can_hold(dtype, value) for value in values)
    return can_hold(dtype, min(values)) and can_hold(dtype, max(values))
