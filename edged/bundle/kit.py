"""The validation kit: samples with golden outputs, and what is wrong with one that fits no model. Pure."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from edged.bundle.manifest import BundlePath
from edged.codec import Document
from edged.pipeline.datatypes import can_hold
from edged.pipeline.spec import Datatype, TensorName, TensorSpec


class Golden(Document, frozen=True, kw_only=True):
    """One output as the reference computed it; ``data`` is flat, row-major, BYTES as UTF-8 text."""

    name: TensorName
    dtype: Datatype
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    data: tuple[bool | int | float | str, ...]


class SampleInput(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One of the pipeline's inputs: its bytes in a file, or its values in ``data``, of which exactly one is given."""

    name: TensorName
    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
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
        named = [self.input, *(item.file for item in self.inputs)]
        return [path for path in named if path is not None]


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
    """Say why golden data are no tensor of an output's datatype; empty when they are one."""
    if golden.dtype != dtype:
        return f"is {golden.dtype}, the pipeline gives {dtype}"
    if len(golden.data) != math.prod(golden.shape):
        return f"has {len(golden.data)} values for shape {list(golden.shape)}"
    if any(isinstance(value, str) != (dtype == "BYTES") for value in golden.data):
        return f"has values that are no {dtype}"
    if not all(isinstance(value, str) or can_hold(dtype, value) for value in golden.data):
        return f"has numbers that no {dtype} can hold"
    return ""
