"""Values of quantities in words, for reasons and explanations. Pure."""

from typing import Any, Final

from edged.hours import clock_text
from edged.policy.quantities import LEVELS, Kind, Quantity

_DIGITS: Final = 6
"""Significant ones of a number with a fraction."""


def written(value: object) -> str:
    """Write a value as it stands in a document of TOML, for mistakes that quote it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        entries = ", ".join(f"{key} = {written(item)}" for key, item in value.items())
        return f"{{ {entries} }}" if entries else "{}"
    return repr(value)


def said(quantity: Quantity, value: Any) -> str:
    """Write a value of a quantity, or what a condition compares it with, as a person reads it; its unit is not repeated."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if quantity.kind is Kind.LEVEL:
        rank: int = value
        return LEVELS[rank]
    if quantity.kind is Kind.HOURS:
        return clock_text(value)
    if quantity.kind is Kind.SET:
        return " and ".join(sorted(value)) or "nothing"
    return f"{value:.{_DIGITS}g}" if isinstance(value, float) else str(value)
