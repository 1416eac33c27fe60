"""The device as it is now, as a document: ``/edged/v1/context``, ``edgectl device --json`` and the events of type ``context``. Pure.

Quantities have the names by which policies ask about them (``edged.policy.quantities``); those of a request are not among them.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal

from edged.codec import Document
from edged.hours import clock_text
from edged.ops.flags import FlagValue
from edged.policy.ask import Ask
from edged.policy.quantities import QUANTITIES, Kind, Quantity
from edged.sense.assemble import Sensor
from edged.sense.context import Context

CONTEXT_PATH: Final = "/edged/v1/context"

_NOBODY: Final = Ask(model="")
_OF_REQUESTS: Final = frozenset({"model", "request", "consent", "accuracy"})
OF_CONTEXT: Final[Mapping[str, Quantity]] = {
    name: quantity for name, quantity in QUANTITIES.items() if name not in _OF_REQUESTS
}
"""The quantities that a context has, by name."""

Value = bool | int | float | str | tuple[str, ...]


class QuantityStatus(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a quantity: a value, or the reason why there is none."""

    value: Value | None
    unit: str = ""
    reason: str = ""


class SensorStatus(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One sensor as it was seen last."""

    name: str
    """As the kernel calls it, and what is behind it."""
    quantity: str
    """What it is about: ``temperature``, ``power``, ``battery``."""
    value: bool | float | str | None
    unit: str = ""
    reason: str = ""
    """Why there is no value."""
    note: str = ""
    """What else there is to know: where its levels begin, or why it does not count."""


class ContextDocument(Document, frozen=True, kw_only=True):
    """One moment of a device."""

    schema: Literal[1] = 1
    serial: int
    """Grows with every change; begins anew with each start of the daemon."""
    at: float
    """Unix seconds."""
    quantities: Mapping[str, QuantityStatus]
    flags: Mapping[str, FlagValue]
    """Of the fleet; policies ask for them as ``flag.NAME``."""
    labels: Mapping[str, str]
    """Of this device; policies ask for them as ``label.NAME``."""
    complaints: tuple[str, ...]
    """Sensors that do not count, and why."""
    sensors: tuple[SensorStatus, ...] = ()
    """One by one; empty in events."""


def describe_context(context: Context, *, sensors: Sequence[Sensor] = ()) -> ContextDocument:
    """Write a context as a document."""
    return ContextDocument(
        serial=context.serial,
        at=context.at_unix_s,
        quantities={name: _status(quantity, context) for name, quantity in OF_CONTEXT.items()},
        flags=context.flags,
        labels=context.labels,
        complaints=context.complaints,
        sensors=tuple(map(_sensor, sensors)),
    )


def words_of(context: Context) -> Sequence[object]:
    """Return what of a context is news when it changes: whatever is no mere number, and whole percents of the battery.

    Numbers drift with every look at the sensors; they come along with the next news.
    """
    readings = (quantity.read(context, _NOBODY) for quantity in OF_CONTEXT.values() if _is_word(quantity))
    percent = context.battery_percent.value
    return [
        *(reading.value for reading in readings),
        None if percent is None else round(percent),
        context.flags,
        context.labels,
        doubted_sensors(context).keys(),
    ]


def doubted_sensors(context: Context) -> Mapping[str, str]:
    """Return the sensors that do not count, and why, which may be worded otherwise with every look."""
    return {name: why for name, _, why in (complaint.partition(": ") for complaint in context.complaints)}


def _sensor(sensor: Sensor) -> SensorStatus:
    value = sensor.value.value
    return SensorStatus(
        name=sensor.name,
        quantity=sensor.quantity,
        value=value if isinstance(value, bool | float | str) or value is None else float(value),
        unit=sensor.unit,
        reason=sensor.value.reason,
        note=sensor.note,
    )


def _is_word(quantity: Quantity) -> bool:
    return quantity.kind not in {Kind.NUMBER, Kind.HOURS}


def _status(quantity: Quantity, context: Context) -> QuantityStatus:
    reading = quantity.read(context, _NOBODY)
    value = None if reading.value is None else _value(quantity.kind, reading.value)
    return QuantityStatus(value=value, unit=quantity.unit, reason=reading.reason)


def _value(kind: Kind, value: Any) -> Value:
    match kind:
        case Kind.LEVEL:
            return str(value.name.lower())
        case Kind.HOURS:
            return clock_text(value)
        case Kind.SET:
            return tuple(sorted(value))
        case Kind.NUMBER | Kind.BOOLEAN | Kind.WORD | Kind.ANY:
            plain: Value = value.value if isinstance(value, Enum) else value
            return plain
