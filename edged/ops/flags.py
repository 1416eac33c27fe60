"""The flags document: switches that turn what is already on devices on and off, signed by the ops role. Pure."""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.ops.cohort import is_among
from edged.ops.segments import Device, Issued, Segment, fits_any

MAX_FLAGS_BYTES: Final = 1 << 20
FLAG_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,126}$(?!\n)"
FlagName = Annotated[str, msgspec.Meta(pattern=FLAG_PATTERN)]
FlagValue = bool | int | float | Annotated[str, msgspec.Meta(max_length=1000)]

STOP_SENSITIVE: Final = "edged.stop-sensitive"
"""A flag that edged itself obeys: devices on which it is on poll every ``STOP_SENSITIVE_POLL_S`` seconds."""
STOP_SENSITIVE_POLL_S: Final = 5.0


class FlagRule(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A value for some devices."""

    value: FlagValue
    segments: tuple[Segment, ...] = ()
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 100.0
    """Of the devices of the segments; ``flag:NAME`` is the subject of the cohort."""


class Flag(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One switch: the value of the first rule that fits, else the default."""

    default: FlagValue = False
    rules: tuple[FlagRule, ...] = ()
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Flags(Document, frozen=True, kw_only=True):
    """``ops/flags.json``."""

    schema: Literal[1]
    issued: Issued
    flags: dict[FlagName, Flag]


def evaluate(flags: Flags, device: Device) -> dict[str, FlagValue]:
    """Return the value of every flag on one device."""
    return {name: _value(name, flag, device) for name, flag in sorted(flags.flags.items())}


def _value(name: str, flag: Flag, device: Device) -> FlagValue:
    for rule in flag.rules:
        if fits_any(rule.segments, device) and is_among(f"flag:{name}", device.id, percent=rule.percent):
            return rule.value
    return flag.default
