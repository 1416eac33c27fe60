"""What a sensor says, or why it says nothing. Pure.

A missing sensor is no error: a board without a battery has nothing to report about one. It is data, and never stands for a good value.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """One value, or the reason why there is none."""

    value: T | None
    reason: str = ""
    """For people, and empty when there is a value."""


def known(value: T) -> Reading[T]:
    """Return what a sensor says."""
    return Reading(value=value)


def unknown(reason: str) -> Reading[T]:
    """Return that nothing is known, and why."""
    return Reading(value=None, reason=reason)
