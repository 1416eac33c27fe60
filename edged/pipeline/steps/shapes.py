"""Steps that put the elements of tensors in another order, another shape, or together; no value changes."""

from collections.abc import Mapping
from math import prod
from typing import Annotated, Final, Literal

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec, may_meet, shape_text
from edged.pipeline.steps.arrays import NUMERIC, Axis, axis_of, bounded
from edged.pipeline.steps.base import MisfitError, OneToOne, StepBase, wanted

Order = Literal["HWC", "CHW", "NHWC", "NCHW"]
Size = Annotated[int, msgspec.Meta(ge=-1, le=1 << 26)]
Inputs = Annotated[tuple[TensorName, ...], msgspec.Meta(min_length=1, max_length=16)]

MAX_AXES: Final = 8


class Layout(OneToOne, frozen=True, kw_only=True, tag="layout@1"):
    """The axes of an image in another order; any numbers in and out.

    The letters are N (images), H (height), W (width), C (channels), from the outermost axis. Where ``from`` has no N and ``to`` has, an
    axis of 1 is put in front; where only ``from`` has it, it has to be 1 and is dropped. ``channels`` ``reversed`` turns the order of the
    channels around: RGB becomes BGR and the reverse.
    """

    from_: Order = msgspec.field(name="from")
    to: Order
    channels: Literal["same", "reversed"] = "same"

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype, its axes in the order of ``to``."""
        spec = wanted(known, self.input, *NUMERIC, rank=len(self.from_))
        sizes = dict(zip(self.from_, spec.shape, strict=True))
        if "N" not in self.to and sizes.get("N", 1) not in {1, -1}:
            raise MisfitError("to", expected=f"an order with N, as {self.input} is {spec}", found=self.to)
        shape = tuple(sizes.get(letter, 1) for letter in self.to)
        return (TensorSpec(name=self.output, dtype=spec.dtype, shape=shape),)


class Reshape(OneToOne, frozen=True, kw_only=True, tag="reshape@1"):
    """The same elements in the same order (row-major) in another shape; any datatype in and out.

    One size of ``shape`` may be -1: whatever makes the number of elements the same, where the others divide it.
    """

    shape: Annotated[tuple[Size, ...], msgspec.Meta(max_length=MAX_AXES)]

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype in ``shape``."""
        spec = wanted(known, self.input)
        if self.shape.count(-1) > 1:
            raise MisfitError("shape", expected="at most one -1", found=shape_text(self.shape))
        if -1 in spec.shape:
            return (TensorSpec(name=self.output, dtype=spec.dtype, shape=self.shape),)
        if (shape := self.shape_for(prod(spec.shape))) is None:
            expected = f"the elements of {self.input}, which is {spec}"
            raise MisfitError("shape", expected=expected, found=shape_text(self.shape))
        return (TensorSpec(name=self.output, dtype=spec.dtype, shape=shape),)

    def shape_for(self, elements: int) -> tuple[int, ...] | None:
        """Return the shape for a number of elements, or None where there is none."""
        others = prod(size for size in self.shape if size >= 0)
        if -1 not in self.shape:
            return self.shape if others == elements else None
        if not others or elements % others:
            return None
        return tuple(elements // others if size < 0 else size for size in self.shape)


class Transpose(OneToOne, frozen=True, kw_only=True, tag="transpose@1"):
    """The axes in another order; any datatype in and out. Axis ``i`` of ``output`` is axis ``axes[i]`` of ``input``, from 0."""

    axes: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, lt=MAX_AXES)], ...], msgspec.Meta(max_length=MAX_AXES)]

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype with its axes in another order."""
        spec = wanted(known, self.input)
        if sorted(self.axes) != [*range(len(spec.shape))]:
            expected = f"each axis of {self.input} once, which is {spec}"
            raise MisfitError("axes", expected=expected, found=list(self.axes))
        return (TensorSpec(name=self.output, dtype=spec.dtype, shape=tuple(spec.shape[axis] for axis in self.axes)),)


class ManyToOne(StepBase, frozen=True, kw_only=True):
    """A step that makes one tensor of several of the same datatype."""

    inputs: Inputs
    output: TensorName

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``inputs``."""
        return self.inputs

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output``."""
        return (self.output,)


class Concat(ManyToOne, frozen=True, kw_only=True, tag="concat@1"):
    """Tensors one after the other along ``axis``; any numbers in and out, the same in all, and the same sizes of all other axes."""

    axis: Axis

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype; ``axis`` as long as all of them together."""
        first = wanted(known, self.inputs[0], *NUMERIC, key="inputs")
        axis = axis_of(first, self.axis)
        without = [
            _without_axis(wanted(known, name, *NUMERIC, rank=len(first.shape), key="inputs"), axis)
            for name in self.inputs
        ]
        common = _common(without)
        lengths = [known[name].shape[axis] for name in self.inputs]
        length = -1 if -1 in lengths else sum(lengths)
        shape = (*common.shape[:axis], length, *common.shape[axis:])
        return (bounded(TensorSpec(name=self.output, dtype=first.dtype, shape=shape)),)


class Stack(ManyToOne, frozen=True, kw_only=True, tag="stack@1"):
    """Tensors of one type beside each other along a new axis, which is axis ``axis`` of ``output``; any numbers in and out."""

    axis: Axis

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype with one more axis, as long as there are inputs."""
        common = _common([wanted(known, name, *NUMERIC, key="inputs") for name in self.inputs])
        if len(common.shape) == MAX_AXES:
            raise MisfitError("inputs", expected=f"tensors with fewer than {MAX_AXES} axes", found=common)
        axis = axis_of(common, self.axis, rank=len(common.shape) + 1)
        shape = (*common.shape[:axis], len(self.inputs), *common.shape[axis:])
        return (bounded(TensorSpec(name=self.output, dtype=common.dtype, shape=shape)),)


def _without_axis(spec: TensorSpec, axis: int) -> TensorSpec:
    return TensorSpec(name=spec.name, dtype=spec.dtype, shape=(*spec.shape[:axis], *spec.shape[axis + 1 :]))


def _common(specs: list[TensorSpec]) -> TensorSpec:
    """Return the type of all of some tensors; an axis is free only where it is free in each."""
    common = specs[0]
    for spec in specs[1:]:
        if not may_meet(spec, common):
            raise MisfitError("inputs", expected=f"tensors that agree with {common.name}", found=f"{spec.name}")
        shape = tuple(map(max, common.shape, spec.shape))
        common = TensorSpec(name=common.name, dtype=common.dtype, shape=shape)
    return common
