"""What goes into a model's pipeline, through it and out of it: tensors with a name, a datatype and a shape."""

from typing import Annotated, Literal

import msgspec

from edged.codec import Document
from edged.pipeline.steps import PostStep, PreStep, TensorName

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
"""Datatypes of the Open Inference Protocol v2."""


class TensorSpec(Document, frozen=True, kw_only=True):
    """A tensor's name, datatype and shape; -1 marks an axis of any size."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=-1)], ...], msgspec.Meta(max_length=8)]


class Pipeline(Document, frozen=True, kw_only=True):
    """What apps send and get, and the steps in between.

    A request that sends ``inputs`` goes through ``pre``; one that sends the model's own inputs enters after it.
    """

    inputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    pre: tuple[PreStep, ...] = ()
    post: tuple[PostStep, ...] = ()
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
