"""Steps on what classifiers give: from scores to labels."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, OneToOne, StepBase, StepPath, StepRole, wanted
from edged.pipeline.steps.one_item import one_item

MAX_AXES: Final = 8
"""Of a tensor in the manifest."""


class Softmax(OneToOne, frozen=True, kw_only=True, tag="softmax@1"):
    """Exponentials of the last axis, divided by their sum; FP32 in and out, same shape."""

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = _scores(known, self.input)
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class Sigmoid(OneToOne, frozen=True, kw_only=True, tag="sigmoid@1"):
    """``1 / (1 + exp(-x))`` of each element; FP32 in and out, same shape.

    For x below 0 it is computed as ``exp(x) / (1 + exp(x))``, so that no finite value overflows. NaN stays NaN.
    """

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = wanted(known, self.input, "FP32")
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class Argmax(OneToOne, frozen=True, kw_only=True, tag="argmax@1"):
    """The index of the largest element along an axis; the smallest such index among equals.

    ``input`` is FP32 with at least one axis; ``output`` is INT64 without the axis ``axis`` (counted from the end where negative). NaN
    counts as minus infinity.
    """

    axis: Annotated[int, msgspec.Meta(ge=-8, le=7)] = -1

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """INT64 without the axis."""
        spec = _scores(known, self.input)
        rank = len(spec.shape)
        if not -rank <= self.axis < rank:
            raise MisfitError("axis", expected=f"an axis of {self.input}, which is {spec}", found=self.axis)
        axis = self.axis % rank
        if not spec.shape[axis]:
            raise MisfitError("input", expected=f"an axis {self.axis} that is not empty", found=f"{self.input}, {spec}")
        return (TensorSpec(name=self.output, dtype="INT64", shape=spec.shape[:axis] + spec.shape[axis + 1 :]),)


class OneHot(OneToOne, frozen=True, kw_only=True, tag="one_hot@1"):
    """A row of zeros with a one at each index.

    ``input`` is INT32 or INT64 [...]; ``output`` is FP32 [..., depth]. An index below 0, or of ``depth`` and above, is refused, and so are
    more than 2^26 elements of output.
    """

    depth: Count

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 with a last axis of ``depth``."""
        spec = wanted(known, self.input, "INT32", "INT64")
        if len(spec.shape) == MAX_AXES:
            raise MisfitError("input", expected=f"fewer than {MAX_AXES} axes", found=f"{self.input}, which is {spec}")
        return (TensorSpec(name=self.output, dtype="FP32", shape=(*spec.shape, self.depth)),)


class Ranking(StepBase, frozen=True, kw_only=True):
    """A step that finds the largest of some scores: the ``values``, and their ``indices`` among all."""

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


class TopK(Ranking, frozen=True, kw_only=True, tag="top_k@1"):
    """The ``k`` largest values of the last axis, largest first; the smaller index first among equals.

    ``input`` is FP32 [..., n]; ``values`` is FP32 [..., k]; ``indices`` is INT64 [..., k].
    """

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


class Threshold(Ranking, frozen=True, kw_only=True, tag="threshold@1"):
    """All classes of one item whose score is at least ``threshold``: for models that give several labels, or none.

    ``input`` is FP32 [n] or [1, n]; ``values`` is FP32 and ``indices`` is INT64, both [m] or [1, m] with ``m`` at most ``k``: the largest
    first, and the smaller index first among equals. The comparison is made in FP64, in which ``threshold`` is given. NaN is below any
    threshold. Several rows are refused: each would have a number of classes of its own.
    """

    threshold: Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 and INT64 with a free last axis."""
        shape = (*one_item(known, self.input, "FP32", axes=1).lead, -1)
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
