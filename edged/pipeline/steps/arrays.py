"""Steps on the values of tensors: another datatype, another scale, and values around the edges."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from edged.pipeline.datatypes import NUMBERS, can_hold
from edged.pipeline.spec import Datatype, TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, OneToOne, wanted
from edged.pipeline.steps.scaling import Scaling

NUMERIC: Final[tuple[Datatype, ...]] = tuple(NUMBERS)
"""Every datatype but BYTES."""
MAX_ELEMENTS: Final = 1 << 26
"""Most elements of a tensor that a step of these modules makes, or needs on the way: 256 MB of FP32."""

Axis = Annotated[int, msgspec.Meta(ge=-8, le=7)]
"""Which axis of a tensor: from 0, or from -1 for the last one backwards."""
Factor = Annotated[float, msgspec.Meta(ge=1e-30, le=1e30)]
Offset = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Value = Annotated[float, msgspec.Meta(ge=-1e38, le=1e38)]
Padding = Annotated[int, msgspec.Meta(ge=0, le=1 << 24)]
NumberType = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64"
]
Filling = Literal["constant", "edge", "reflect"]
"""What new elements before and after the old ones ``a b c`` are: all ``value``; ``a a|a b c|c c``; ``c b|a b c|b a``."""


class Cast(OneToOne, frozen=True, kw_only=True, tag="cast@1"):
    """The same values in another datatype; any of numbers in and out, same shape.

    - To BOOL: whether the value is not zero; NaN is not. From BOOL: 0 or 1.
    - To integers: a fraction is rounded to the nearest integer, half to even; a value outside the range, or infinity, becomes the end
      of the range it is nearest to; NaN becomes 0.
    - To floats: rounded to the nearest value, half to even; what is too large becomes infinity, as IEEE 754 says.
    """

    to: NumberType

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """``to`` of the same shape."""
        spec = wanted(known, self.input, *NUMERIC)
        return (TensorSpec(name=self.output, dtype=self.to, shape=spec.shape),)


class Normalize(OneToOne, frozen=True, kw_only=True, tag="normalize@1"):
    """Values on the scale that a model was trained with: ``(x * scale - mean[c]) / std[c]``.

    ``input`` is UINT8, INT8, UINT16, INT16 or FP32; ``output`` is FP32 of the same shape. ``c`` counts along ``axis``; a ``mean`` or
    ``std`` with one value is for all of it. ``scale``, ``mean`` and ``std`` are rounded to FP32 first, and then each of the three
    operations is, in the order written (no fused multiply-add). What is too large becomes infinity, as IEEE 754 says.
    """

    scale: Factor = 1.0
    mean: Annotated[tuple[Offset, ...], msgspec.Meta(min_length=1, max_length=4096)] = (0.0,)
    std: Annotated[tuple[Factor, ...], msgspec.Meta(min_length=1, max_length=4096)] = (1.0,)
    axis: Axis = -1

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = wanted(known, self.input, "UINT8", "INT8", "UINT16", "INT16", "FP32")
        size = spec.shape[axis_of(spec, self.axis)]
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) > 1 and size not in {-1, len(values)}:
                raise MisfitError(key, expected=f"1 value or {size}, as {self.input} is {spec}", found=len(values))
        if 1 not in {len(self.mean), len(self.std)} and len(self.mean) != len(self.std):
            raise MisfitError("std", expected=f"1 value or {len(self.mean)}, as mean has", found=len(self.std))
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class Pad(OneToOne, frozen=True, kw_only=True, tag="pad@1"):
    """More elements before and after those of each axis; any numbers in and out.

    ``before`` and ``after`` have a number for each axis. Axes are filled in order, so that the corners are what the later axis makes of
    what the earlier one has; for these fillings the order makes no difference. ``edge`` needs at least one element on an axis that it
    fills, ``reflect`` one more than it adds on either side.
    """

    before: Annotated[tuple[Padding, ...], msgspec.Meta(min_length=1, max_length=8)]
    after: Annotated[tuple[Padding, ...], msgspec.Meta(min_length=1, max_length=8)]
    filling: Filling = "constant"
    value: Value = 0.0
    """Of ``constant``; one that the datatype has, rounded where it has fractions."""

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype with longer axes."""
        spec = wanted(known, self.input, *NUMERIC)
        for key, counts in (("before", self.before), ("after", self.after)):
            if len(counts) != len(spec.shape):
                raise MisfitError(key, expected=f"{len(spec.shape)} numbers, as {self.input} is {spec}", found=counts)
        check_constant(self.filling, self.value, spec)
        sizes = zip(spec.shape, self.before, self.after, strict=True)
        for axis, (size, before, after) in enumerate(sizes):
            check_filling(self.filling, size, before, after, f"axis {axis} of {self.input}")
        shape = (
            -1 if size < 0 else before + size + after
            for size, before, after in zip(spec.shape, self.before, self.after, strict=True)
        )
        return (bounded(TensorSpec(name=self.output, dtype=spec.dtype, shape=tuple(shape))),)


class PadTo(OneToOne, frozen=True, kw_only=True, tag="pad_to@1"):
    """An axis of exactly ``length`` elements; any numbers in and out.

    What is missing is added at ``side``: all of it at the ``end`` or the ``start``, or half of it at either (``both``; the odd one at the
    end). What is too long is refused, or cut (``longer``) at the same side: ``both`` keeps the middle, and the odd one goes at the
    end. The fillings are those of ``pad@1``. With ``scaling``, ``length`` is smaller where the device's policy asks for less.
    """

    SIZES: ClassVar[Sequence[str]] = ("length",)

    axis: Axis
    length: Count
    side: Literal["end", "start", "both"] = "end"
    longer: Literal["refuse", "cut"] = "refuse"
    filling: Filling = "constant"
    value: Value = 0.0
    scaling: Scaling | None = None

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype with an axis of ``length``."""
        spec = wanted(known, self.input, *NUMERIC)
        axis = axis_of(spec, self.axis)
        size = spec.shape[axis]
        if size > self.length and self.longer == "refuse":
            raise MisfitError("length", expected=f"at least {size}, as {self.input} is {spec}", found=self.length)
        check_constant(self.filling, self.value, spec)
        if 0 <= size < self.length:
            before, after = self.added(size)
            check_filling(self.filling, size, before, after, f"axis {axis} of {self.input}")
        shape = (*spec.shape[:axis], self.length, *spec.shape[axis + 1 :])
        return (bounded(TensorSpec(name=self.output, dtype=spec.dtype, shape=shape)),)

    def added(self, size: int) -> tuple[int, int]:
        """Return how many elements come before and after ``size`` others; negative where they are cut."""
        missing = self.length - size
        match self.side:
            case "end":
                return 0, missing
            case "start":
                return missing, 0
            case "both":
                # Toward zero: the odd one is added or cut at the end.
                before = missing // 2 if missing >= 0 else -(-missing // 2)
                return before, missing - before


def axis_of(spec: TensorSpec, axis: int, key: str = "axis", *, rank: int | None = None) -> int:
    """Return an axis counted from 0.

    Args:
        spec: A tensor's type.
        axis: Of it; may be counted from the end.
        key: The step's key that has ``axis``.
        rank: Number of axes to count among, if not those of ``spec``.

    Raises:
        MisfitError: The tensor has no such axis.
    """
    rank = len(spec.shape) if rank is None else rank
    if not -rank <= axis < rank:
        expected = f"an axis from {-rank} to {rank - 1}" if rank else "a tensor with axes"
        raise MisfitError(key, expected=f"{expected}, as {spec.name} is {spec}", found=axis)
    return axis % rank


def bounded(spec: TensorSpec, key: str = "output") -> TensorSpec:
    """Return a type, if as much of it as is known has not more than ``MAX_ELEMENTS`` elements.

    Raises:
        MisfitError: It has more.
    """
    if prod(size for size in spec.shape if size > 0) > MAX_ELEMENTS:
        raise MisfitError(key, expected=f"at most {MAX_ELEMENTS} elements", found=spec)
    return spec


def check_value(value: float, spec: TensorSpec, key: str = "value") -> None:
    """Check that new elements of a tensor can have the value under a key.

    Raises:
        MisfitError: Its datatype does not have the value.
    """
    if not can_hold(spec.dtype, value):
        raise MisfitError(key, expected=f"a value of {spec.dtype}, as {spec.name} is {spec}", found=value)


def check_constant(filling: Filling, value: float, spec: TensorSpec) -> None:
    """Check the ``value`` of a filling.

    Raises:
        MisfitError: A tensor of this type does not have it, or the filling has no use for it.
    """
    if filling != "constant" and value:
        raise MisfitError("value", expected=f"nothing, as filling is {filling}", found=value)
    check_value(value, spec)


def check_filling(filling: Filling, size: int, before: int, after: int, where: str) -> None:
    """Check that an axis of ``size`` elements (-1 for any) has what new elements are made of.

    Raises:
        MisfitError: It has too few.
    """
    least = {"constant": 0, "edge": 1, "reflect": max(before, after) + 1}[filling] if before or after else 0
    if 0 <= size < least:
        raise MisfitError("filling", expected=f"at least {least} elements on {where}", found=size)
