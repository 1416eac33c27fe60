"""A tensor as manifests, models and the protocol describe it: name, datatype, shape."""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document

TensorName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
"""Datatypes of the Open Inference Protocol v2."""

MAX_AXIS: Final = 1 << 31
"""More elements than this no axis has: no tensor of this size fits a request, and numbers without a bound fit no other program."""


class TensorSpec(Document, frozen=True, kw_only=True):
    """A tensor's name, datatype and shape; -1 marks an axis of any size."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=-1, lt=MAX_AXIS)], ...], msgspec.Meta(max_length=8)]

    def __str__(self) -> str:
        return f"{self.dtype} {shape_text(self.shape)}"


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape for people: ``[any, 3, 128, 128]``."""
    return f"[{', '.join('any' if axis < 0 else str(axis) for axis in shape)}]"


def may_meet(given: TensorSpec, wanted: TensorSpec) -> bool:
    """Tell whether a tensor of type ``given`` may be one of type ``wanted``: same datatype and rank, no axis that contradicts."""
    return (
        given.dtype == wanted.dtype
        and len(given.shape) == len(wanted.shape)
        and all(a == b or -1 in {a, b} for a, b in zip(given.shape, wanted.shape, strict=True))
    )
