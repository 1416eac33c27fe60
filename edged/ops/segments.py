"""Parts of a fleet, and which of them a device belongs to. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

import msgspec

from edged.codec import Document

LABEL_PATTERN: Final = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$(?!\n)"
Label = Annotated[str, msgspec.Meta(pattern=LABEL_PATTERN)]
"""A name or value that the owner of a fleet gives: lower-case letters, digits, dot, dash, underscore; at most 63."""

Issued = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$(?!\n)")]
"""A time as RFC 3339 writes it, in UTC and whole seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What a device is, as far as documents for a fleet ask for it."""

    id: str
    """The same for ever, on no other device, and of no use to know (``edged.ops.identity``)."""
    arch: str
    """In Debian's words: amd64, arm64."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """As configured under ``[device] labels``: region, site, hardware, ring."""


class Segment(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Devices that fulfil all of this; what is left out asks for nothing."""

    labels: dict[Label, Annotated[tuple[Label, ...], msgspec.Meta(min_length=1)]] = msgspec.field(default_factory=dict)
    """For each label the values that will do; a device without the label does not fit."""
    arch: tuple[str, ...] = ()

    def fits(self, device: Device) -> bool:
        """Tell whether a device belongs to this segment."""
        if self.arch and device.arch not in self.arch:
            return False
        return all(device.labels.get(name) in values for name, values in self.labels.items())


def fits_any(segments: Iterable[Segment], device: Device) -> bool:
    """Tell whether a device belongs to at least one of several segments; without any, everybody is meant."""
    listed = tuple(segments)
    return not listed or any(segment.fits(device) for segment in listed)
