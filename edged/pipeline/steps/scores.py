"""Steps on what classifiers give: from scores to labels."""

from collections.abc import Mapping
from typing import ClassVar

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, OneToOne, StepBase, StepPath, StepRole, wanted


class Softmax(OneToOne, frozen=True, kw_only=True, tag="softmax@1"):
    """Exponentials of the last axis, divided by their sum; FP32 in and out, same shape."""

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = _scores(known, self.input)
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class TopK(StepBase, frozen=True, kw_only=True, tag="top_k@1"):
    """The ``k`` largest values of the last axis, largest first; the smaller index first among equals.

    ``input`` is FP32 [..., n]; ``values`` is FP32 [..., k]; ``indices`` is INT64 [..., k].
    """

    input: TensorName
    values: TensorName
    indices: TensorName
    k: Count

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input``."""
        return (self.input,)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``values`` and ``indices``."""
        return (self.values, self.indices)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 and INT64 with a last axis of ``k``."""
        spec = _scores(known, self.input)
        if 0 <= spec.shape[-1] < self.k:
            raise MisfitError("k", expected=f"at most {spec.shape[-1]}, the last axis of {self.input}", found=self.k)
        shape = (*spec.shape[:-1], self.k)
        return (
            TensorSpec(name=self.values, dtype="FP32", shape=shape),
            TensorSpec(name=self.indices, dtype="INT64", shape=shape),
        )


class Labels(OneToOne, frozen=True, kw_only=True, tag="labels@1"):
    """The line of a text file for each index; INT64 in, BYTES out, same shape. ``file`` is UTF-8, one label a line."""

    FILES: ClassVar[Mapping[str, StepRole]] = {"file": "labels"}

    file: StepPath

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """BYTES of the same shape."""
        spec = wanted(known, self.input, "INT64")
        return (TensorSpec(name=self.output, dtype="BYTES", shape=spec.shape),)


def _scores(known: Mapping[str, TensorSpec], name: str) -> TensorSpec:
    spec = wanted(known, name, "FP32")
    if not spec.shape:
        raise MisfitError("input", expected="FP32 with at least one axis", found=f"{name}, which is {spec}")
    return spec
