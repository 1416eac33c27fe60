"""What the kernel showed at one look, as plain texts: all that is judged in this package comes from one of these. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

FamilyName = Literal[
    "zones",
    "coolers",
    "monitors",
    "clocks",
    "device_clocks",
    "processors",
    "firmware",
    "supplies",
    "power_caps",
    "render_nodes",
    "compute_nodes",
    "edge_processors",
    "nvidia",
]
"""Kinds of devices; ``edged.sense.families`` has what each is, and where."""

SLEEPS: Final = "the device sleeps"
"""Why attributes are not read that would wake it."""
_WORD_BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceText:
    """A directory of sysfs that stands for a device, and what its attributes read."""

    name: str
    """``thermal_zone0``, ``BAT0``."""
    texts: Mapping[str, str]
    """By the name of the attribute, without white space around them. An attribute that a device does not have is not there."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Attributes that are there and cannot be read, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of it."""

    why_unreadable: str = ""
    """Sysfs could not be read at all: a device without it is not one without batteries."""
    devices: Mapping[FamilyName, tuple[DeviceText, ...]] = field(default_factory=dict)
    unlisted: Mapping[FamilyName, str] = field(default_factory=dict)
    """Kinds of which it cannot be told what devices there are, and why."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Of ``/proc``, by their paths there (``edged.sense.families``); and which processors are ``online``."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """Files that cannot be read, and why."""

    def of(self, family: FamilyName) -> tuple[DeviceText, ...]:
        """Return the devices of one kind."""
        return self.devices.get(family, ())


def merged(parts: Iterable[Snapshot]) -> Snapshot:
    """Put together what was read apart; where sysfs could not be read, that is all there is to say."""
    devices: dict[FamilyName, tuple[DeviceText, ...]] = {}
    unlisted: dict[FamilyName, str] = {}
    files: dict[str, str] = {}
    errors: dict[str, str] = {}
    for part in parts:
        if part.why_unreadable:
            return part
        devices |= part.devices
        unlisted |= part.unlisted
        files |= part.files
        errors |= part.errors
    return Snapshot(devices=devices, unlisted=unlisted, files=files, errors=errors)


def number_of(text: str | None, *, base: int = 10) -> int | None:
    """Read a whole number as attributes have them; None for what is none, or what no word of the kernel's can hold."""
    try:
        number = int(text or "", base)
    except ValueError:
        return None
    return number if number.bit_length() <= _WORD_BITS else None
