"""What every step of a pipeline has: tensors it reads and writes, files it needs, and the types it gives for the types it gets.

A step is a document, and knows nothing of numpy: the daemon and the publisher's tool read and check pipelines, only workers compute
them (``edged.pipeline.kernels``). The number after ``@`` in a step's ``op`` changes whenever the same input could give another output,
and old numbers stay, so a bundle's answers never drift.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

import msgspec

from edged.codec import Document
from edged.pipeline.spec import Datatype, TensorName, TensorSpec
from edged.pipeline.steps.scaling import Scaling

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
StepPath = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
"""A path in the bundle, listed in the manifest's ``files``."""
StepRole = Literal["labels", "tokenizer", "graph"]
"""The role in the manifest of a file that a step needs."""


class MisfitError(ValueError):
    """A step cannot take a tensor of this type.

    Args:
        key: The step's key that names the tensor, or has the value, that does not fit.
        expected: What it takes.
        found: What it would get.
    """

    def __init__(self, key: str, *, expected: str, found: object) -> None:
        super().__init__(f"{key}: expected {expected}, got {found}")
        self.key = key
        self.expected = expected
        self.found = str(found)


class StepBase(Document, frozen=True, kw_only=True, tag_field="op", omit_defaults=True):
    """What the code asks of every step."""

    FILES: ClassVar[Mapping[str, StepRole]] = {}
    """Which keys name files of the bundle, and the role each has there."""
    SIZES: ClassVar[Sequence[str]] = ()
    """Which keys are sizes that the key ``scaling`` is about; a step without any has no such key."""

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """The tensors it needs, by name."""
        raise NotImplementedError

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """The tensors it makes, by name."""
        raise NotImplementedError

    @property
    def measures(self) -> tuple[TensorName, ...]:
        """Those of the tensors it reads of which it needs nothing but the shape."""
        return ()

    @property
    def files(self) -> dict[str, StepRole]:
        """The files it needs: path in the bundle -> role."""
        return {getattr(self, key): role for key, role in self.FILES.items() if getattr(self, key) is not None}

    @property
    def can_scale(self) -> Scaling | None:
        """How small its sizes may get; None where they stay what they are."""
        scaling: Scaling | None = getattr(self, "scaling", None)
        return scaling

    def at(self, scale: float) -> Self:
        """Return the step that this one is at a scale from the least that it may have to 1."""
        scaling = self.can_scale
        if scaling is None:
            return self
        return msgspec.structs.replace(self, **{key: scaling.size(getattr(self, key), scale) for key in self.SIZES})

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """Return the types of the tensors it writes, in the order of ``writes``.

        Args:
            known: The types of all tensors so far by name; those it reads are among them.

        Raises:
            MisfitError: It does not take a tensor of that type.
        """
        raise NotImplementedError


class OneToOne(StepBase, frozen=True, kw_only=True):
    """A step that makes one tensor of another."""

    input: TensorName
    output: TensorName

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input``."""
        return (self.input,)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output``."""
        return (self.output,)


def wanted(
    known: Mapping[str, TensorSpec], name: str, *dtypes: Datatype, rank: int | None = None, key: str = "input"
) -> TensorSpec:
    """Return the type of a tensor that a step reads, if it is one the step takes.

    Args:
        known: As for ``StepBase.gives``.
        name: The tensor's.
        dtypes: Any one of these; none means any.
        rank: Number of axes; None means any.
        key: The step's key that holds ``name``.

    Raises:
        MisfitError: It is another.
    """
    spec = known[name]
    if (dtypes and spec.dtype not in dtypes) or rank not in {None, len(spec.shape)}:
        axes = "" if rank is None else f" with {rank} {'axis' if rank == 1 else 'axes'}"
        raise MisfitError(key, expected=(" or ".join(dtypes) or "a tensor") + axes, found=f"{name}, which is {spec}")
    return spec
