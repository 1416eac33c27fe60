"""Numbers with their units as people read them, and keys that carry a unit in their name. Standard library only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
_QUANTITY: Final = re.compile(r"^\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([A-Za-zµμ°]{0,12})\s*$")


def bytes_text(size: int) -> str:
    """Write a number of bytes in the unit that reads best."""
    value = float(size)
    for unit in _SIZES[:-1]:
        if value < 1024:
            return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_SIZES[-1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit that the end of a key names."""

    plural: str
    """What to call it."""
    factors: Mapping[str, float]
    """How many of it are one of each unit that people write in its place."""

    def number_in(self, text: str) -> float | None:
        """Return the number that a text like ``0.2s`` or ``128 MiB`` is in this unit; None when it is no such text."""
        match = _QUANTITY.match(text)
        if match is None:
            return None
        factor = self.factors.get(match[2]) if match[2] else 1.0
        return None if factor is None else round(float(match[1]) * factor, 9)


_BYTES: Final[Mapping[str, float]] = {
    "B": 1, "bytes": 1, "byte": 1,
    "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
}  # fmt: skip
_SECONDS: Final[Mapping[str, float]] = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "min": 60, "h": 3600, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3,
    "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9,
}  # fmt: skip

UNITS: Final[Mapping[str, Unit]] = {
    "ms": Unit(plural="milliseconds", factors={name: 1e3 * factor for name, factor in _SECONDS.items()}),
    "s": Unit(plural="seconds", factors=_SECONDS),
    "bytes": Unit(plural="bytes", factors=_BYTES),
    "watts": Unit(plural="watts", factors={"W": 1, "watt": 1, "watts": 1, "mW": 1e-3, "kW": 1e3}),
    "celsius": Unit(plural="degrees Celsius", factors={"C": 1, "°C": 1}),
}
"""By the last part of a key's name: ``latency_ms`` is in milliseconds."""


def unit_of(key: str) -> Unit | None:
    """Return the unit in a key's name, if it has one."""
    _, mark, last = key.rpartition("_")
    return UNITS.get(last) if mark else None
