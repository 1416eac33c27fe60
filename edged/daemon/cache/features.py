"""For which requests it is worth knowing what the steps before the model make of them. Pure.

The steps belong to the bundle: what they make of a request is the same for all of its variants that take the same inputs, while a result is
that of one variant. So work that was done in the background with one variant is not lost when another one is to answer.

It is the model's own inputs, and whatever else the steps after the model read from before it: the scale of a detector's picture, above all.
A worker needs all of that to begin behind the steps.

Not for a request that brings the model's own inputs.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from edged.bundle.manifest import Variant
from edged.pipeline.datatypes import size_bytes
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Request
from edged.runtime.wire import MAX_TENSORS

KEPT_TYPES: Final = 64
"""Bundles and scales of which the types are remembered: to follow them through the steps takes as long as to look up a small question."""


def has_features(pipeline: Pipeline, variant: Variant) -> bool:
    """Tell whether a variant can begin behind the steps before the model."""
    tensors = len(variant.inputs) + len(_borrowed_types(pipeline, 1.0))
    return bool(pipeline.pre) and not variant.state and tensors <= MAX_TENSORS


def borrowed_beside(variant: Variant, pipeline: Pipeline, scale: float) -> Sequence[TensorSpec]:
    """Return the types of what the steps after a model read from before it, without what is among its inputs or hidden by its outputs.

    Args:
        variant: Has the model.
        pipeline: Around it.
        scale: At which its steps are asked for.
    """
    others = {spec.name for spec in (*variant.inputs, *variant.outputs)}
    return tuple(spec for spec in _borrowed_types(pipeline, scale) if spec.name not in others)


@lru_cache(maxsize=KEPT_TYPES)
def _borrowed_types(pipeline: Pipeline, scale: float) -> Sequence[TensorSpec]:
    return pipeline.at(max(scale, pipeline.least_scale)).borrowed_types


def enters_before(request: Request, pipeline: Pipeline) -> bool:
    """Tell whether the steps before the model are done for a request."""
    return {tensor.name for tensor in request.inputs} == {spec.name for spec in pipeline.inputs}


def least_bytes(specs: Sequence[TensorSpec]) -> int:
    """Return how many bytes tensors of some types have at least: those of the tensors whose size is fixed."""
    return sum(size_bytes(spec.dtype, spec.shape) for spec in specs if spec.dtype != "BYTES" and -1 not in spec.shape)
