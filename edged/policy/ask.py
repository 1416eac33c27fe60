"""What a decision depends on of a request. Pure."""

from dataclasses import dataclass
from typing import Final

from edged.runtime.calls import RequestClass
from edged.sense.reading import Reading, unknown

_NOTHING_SAID: Final[Reading[str]] = unknown("nothing was said about it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A kind of request: those that are alike in this are decided alike, so a decision can be kept."""

    model: str
    request_class: RequestClass = RequestClass.INTERACTIVE
    has_consent: bool = False
    """Its caller allows that its input leaves the device."""
    accuracy: Reading[str] = _NOTHING_SAID
    """``ok`` or ``degraded``."""
