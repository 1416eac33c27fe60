"""Steps on embeddings: vectors whose direction has a meaning."""

from collections.abc import Mapping

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import MisfitError, OneToOne, StepBase, wanted


class MeanPool(StepBase, frozen=True, kw_only=True, tag="mean_pool@1"):
    """The mean of a text's token vectors, without those that only fill it up.

    ``input`` is FP32 [b, t, d]; ``mask`` is INT64 [b, t], 1 for a token that counts and 0 for one that does not, and anything else is
    refused; ``output`` is FP32 [b, d]: the sum of the vectors that count, divided by their number, computed in FP64 and rounded once.
    Vectors that do not count have no influence, also where they are NaN. Where none counts, the mean is 0.
    """

    input: TensorName
    mask: TensorName
    output: TensorName

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input`` and ``mask``."""
        return (self.input, self.mask)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output``."""
        return (self.output,)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 [b, d]."""
        vectors = wanted(known, self.input, "FP32", rank=3)
        mask = wanted(known, self.mask, "INT64", rank=2, key="mask")
        if any(-1 not in pair and len(set(pair)) > 1 for pair in zip(vectors.shape, mask.shape, strict=False)):
            raise MisfitError(
                "mask", expected=f"the first two axes of {self.input}, {vectors}", found=f"{self.mask}, which is {mask}"
            )
        rows = max(vectors.shape[0], mask.shape[0])
        return (TensorSpec(name=self.output, dtype="FP32", shape=(rows, vectors.shape[2])),)


class L2Normalize(OneToOne, frozen=True, kw_only=True, tag="l2_normalize@1"):
    """Each vector along the last axis, divided by its Euclidean length; FP32 in and out, same shape.

    Computed in FP64 and rounded once at the end. A vector of zeros stays what it is; one with NaN or infinity becomes NaN where it has
    these, and NaN or 0 elsewhere.
    """

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = wanted(known, self.input, "FP32")
        if not spec.shape:
            raise MisfitError("input", expected="FP32 with at least one axis", found=f"{self.input}, which is {spec}")
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)
