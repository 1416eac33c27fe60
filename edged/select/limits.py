"""What variants need, as far as that is known here, and how much of it they may. Pure.

What was measured on this device counts; until then what the manifest states. What is neither measured nor stated is unknown, and an unknown
need keeps within no limit. The energy that a manifest states is its latency times its power.

Beside what a rule allows, the latency that a manifest states is a limit: a promise. The power that it states is none. What is measured of
power is attributed (``edged.energy.attribution``), and whatever else is switched on while somebody waits for answers counts for the model:
good enough to compare the variants of a device, and not to hold one against a figure from a laboratory.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import Budget, Variant
from edged.policy.document import Then
from edged.select.decision import Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something that a variant should not need more than ``most`` of."""

    most: float
    need: Callable[[Variant], float | None]
    """None: nobody knows."""
    excess: Callable[[Variant], str]
    """Why a variant needs too much, for people."""
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantity:
    """Something that a rule may limit."""

    unit: str
    seen: Callable[[Measured], float | None]
    stated: Callable[[Budget], float | None]
    verb: str
    what: str
    """That nobody knows."""


_LATENCY: Final = _Quantity(
    unit="ms",
    seen=lambda measured: None if measured.latency_s is None else measured.latency_s * 1000,
    stated=lambda budget: budget.latency_ms,
    verb="takes",
    what="how long it takes",
)
_POWER: Final = _Quantity(
    unit="W",
    seen=lambda measured: measured.watts,
    stated=lambda budget: budget.power_watts,
    verb="draws",
    what="what power it draws",
)
_ENERGY: Final = _Quantity(
    unit="J",
    seen=lambda measured: measured.joules,
    stated=lambda budget: None if budget.power_watts is None else budget.latency_ms * budget.power_watts / 1000,
    verb="takes",
    what="what energy a run takes",
)


def limits_of(then: Then, measured: Mapping[str, Measured], *, keeps_promises: bool) -> Iterator[Limit]:
    """Give the limits in the order in which they are asked.

    Args:
        then: What the rule allows.
        measured: What variants were seen to need, by id.
        keeps_promises: The latency in a variant's manifest is a limit, too.
    """
    if keeps_promises:
        yield _promised(measured)
    if then.max_latency_ms is not None:
        yield _allowed(then.max_latency_ms, _LATENCY, measured)
    if then.max_watts is not None:
        yield _allowed(then.max_watts, _POWER, measured)
    if then.max_joules is not None:
        yield _allowed(then.max_joules, _ENERGY, measured)


def _promised(measured: Mapping[str, Measured]) -> Limit:
    """Make a limit of the latency in each variant's manifest."""

    def share(variant: Variant) -> float:
        figures = measured.get(variant.id)
        if figures is None or figures.latency_s is None:
            return 1.0
        return figures.latency_s * 1000 / variant.budget.latency_ms

    return Limit(
        most=1.0,
        need=share,
        excess=lambda variant: f"takes {share(variant):.1f} times as long here as its manifest promises",
        words="what its manifest promises",
    )


def _allowed(most: float, quantity: _Quantity, measured: Mapping[str, Measured]) -> Limit:
    """Make a limit of what a rule allows."""
    words = f"{most:g} {quantity.unit}"

    def seen(variant: Variant) -> float | None:
        figures = measured.get(variant.id)
        return None if figures is None else quantity.seen(figures)

    def need(variant: Variant) -> float | None:
        found = seen(variant)
        return quantity.stated(variant.budget) if found is None else found

    def excess(variant: Variant) -> str:
        value = need(variant)
        if value is None:
            return f"{quantity.what} was not measured here, and its manifest does not say"
        figure = f"{value:g} {quantity.unit}"
        said = f"its manifest states {figure}" if seen(variant) is None else f"{quantity.verb} {figure} here"
        return f"{said}, the rule allows {words}"

    return Limit(most=most, need=need, excess=excess, words=words)
