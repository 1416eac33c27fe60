"""What answers when a model cannot: rules of a manifest, of which a device obeys the first that applies to it.

A model cannot answer when its publisher stopped it and allows for this, when its lease has run out, when no version of it is active, or
when its worker cannot be started. Which rule applies is for the device to find out (``edged.daemon.fleet.fallbacks``):

smaller-variant    another variant of the same version that needs less memory, where one is here and fits the machine; not while the
                   version itself is stopped
previous-version   the version that was good before this one, where it is still here and neither stopped nor below the floor
constant           outputs that are written down in the manifest, whatever was asked
refuse             nothing: requests are refused, and the rules after this one are never reached
"""

from collections.abc import Collection, Iterator, Sequence
from math import prod
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.errors import Problem
from edged.pipeline.datatypes import NUMBERS, can_hold
from edged.pipeline.spec import Datatype, TensorName, TensorSpec, may_meet

MAX_ELEMENTS: Final = 1 << 16
"""Of one output that is written down."""
FallbackUse = Literal["smaller-variant", "previous-version", "constant", "refuse"]

Value = bool | int | float | str


class ConstantOutput(Document, frozen=True, kw_only=True):
    """An output with its values."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=MAX_ELEMENTS)], ...], msgspec.Meta(max_length=8)]
    data: Annotated[tuple[Value, ...], msgspec.Meta(max_length=MAX_ELEMENTS)]
    """Flat, row by row; BYTES as texts."""

    @property
    def spec(self) -> TensorSpec:
        """Its name, datatype and shape."""
        return TensorSpec(name=self.name, dtype=self.dtype, shape=self.shape)


class SmallerVariant(Document, frozen=True, kw_only=True, omit_defaults=True, tag_field="use", tag="smaller-variant"):
    """Another variant of this version."""

    variant: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    """Its id; without one, the largest of those that need less memory than the variant that cannot answer."""


class PreviousVersion(Document, frozen=True, kw_only=True, tag_field="use", tag="previous-version"):
    """The version that was good before this one."""


class Constant(Document, frozen=True, kw_only=True, tag_field="use", tag="constant"):
    """Always the same answer."""

    outputs: Annotated[tuple[ConstantOutput, ...], msgspec.Meta(min_length=1, max_length=64)]
    """All of the pipeline's outputs."""


class Refuse(Document, frozen=True, kw_only=True, tag_field="use", tag="refuse"):
    """No answer."""


Fallback = SmallerVariant | PreviousVersion | Constant | Refuse


def fallback_text(rule: Fallback) -> str:
    """Say what a rule has answer."""
    match rule:
        case SmallerVariant(variant=None):
            return "a smaller variant"
        case SmallerVariant(variant=variant):
            return f"variant {variant}"
        case PreviousVersion():
            return "the previous version"
        case Constant(outputs=outputs):
            return f"a constant ({', '.join(f'{output.name} {_values_text(output)}' for output in outputs)})"
        case Refuse():
            return "a refusal"


def misfits(
    rules: Sequence[Fallback], *, outputs: Sequence[TensorSpec] | None, variants: Collection[str] | None
) -> Iterator[Problem]:
    """Check rules against the manifest they are in.

    Args:
        rules: Of the manifest.
        outputs: Of the pipeline; None where they cannot be read, so that nothing is said about them.
        variants: Ids of the manifest's variants; None likewise.
    """
    for i, rule in enumerate(rules):
        where = f"/fallback/{i}"
        if isinstance(rule, Constant):
            yield from _constants_fit(rule.outputs, outputs, f"{where}/outputs")
        elif isinstance(rule, SmallerVariant) and rule.variant and variants and rule.variant not in variants:
            expected = f"expected one of {', '.join(sorted(variants))}"
            yield Problem(pointer=f"{where}/variant", expected=expected, found=rule.variant)
        elif isinstance(rule, Refuse) and i + 1 < len(rules):
            yield Problem(pointer=where, expected="expected refuse as the last rule: those after it are never reached")


def _constants_fit(
    constants: Sequence[ConstantOutput], outputs: Sequence[TensorSpec] | None, where: str
) -> Iterator[Problem]:
    for j, constant in enumerate(constants):
        yield from _values_fit(constant, f"{where}/{j}")
    if outputs is None:
        return
    known = {spec.name: spec for spec in outputs}
    names = [constant.name for constant in constants]
    for j, constant in enumerate(constants):
        spec = known.get(constant.name)
        if spec is None or constant.name in names[:j]:
            expected = f"expected one of {', '.join(sorted(known))}, each once"
            yield Problem(pointer=f"{where}/{j}/name", expected=expected, found=constant.name)
        elif not may_meet(constant.spec, spec):
            yield Problem(pointer=f"{where}/{j}", expected=f"expected {spec}", found=str(constant.spec))
    if missing := sorted(known.keys() - set(names)):
        yield Problem(pointer=where, expected=f"expected every output; {' and '.join(missing)} is missing")


def _values_fit(constant: ConstantOutput, where: str) -> Iterator[Problem]:
    count = prod(constant.shape)
    if len(constant.data) != count:
        expected = f"expected the {count} values of shape {list(constant.shape)}"
        yield Problem(pointer=f"{where}/data", expected=expected, found=str(len(constant.data)))
    for k, value in enumerate(constant.data):
        if not _holds(constant.dtype, value):
            yield Problem(
                pointer=f"{where}/data/{k}", expected=f"expected a value of {constant.dtype}", found=str(value)
            )
            return


def _holds(dtype: Datatype, value: Value) -> bool:
    if dtype == "BYTES" or isinstance(value, str):
        return dtype == "BYTES" and isinstance(value, str)
    if dtype == "BOOL" or isinstance(value, bool):
        return dtype == "BOOL" and isinstance(value, bool)
    return can_hold(dtype, value) and (NUMBERS[dtype].is_float or isinstance(value, int))


def _values_text(constant: ConstantOutput) -> str:
    shown = ", ".join(str(value) for value in constant.data[:4])
    return f"[{shown}{', ...' if len(constant.data) > 4 else ''}]"
