"""The feature flags of the fleet on this device, ``/edged/v1/flags``: schema version 1. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

from edged.codec import Document
from edged.ops.flags import FlagValue

FLAGS_PATH: Final = "/edged/v1/flags"


class FlagsDocument(Document, frozen=True, kw_only=True):
    """All flags."""

    schema: Literal[1] = 1
    flags: Mapping[str, FlagValue]
    """Values by name; empty when the fleet has no flags, or this device has not heard of any."""


class FlagDocument(Document, frozen=True, kw_only=True):
    """One flag."""

    schema: Literal[1] = 1
    name: str
    value: FlagValue
