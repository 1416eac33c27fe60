"""The page that ``edgectl device`` shows to a person: heat, power, load, network, and the sensors one by one. Pure."""

from collections.abc import Callable, Iterator
from typing import Final

from edged.api.documents.context import ContextDocument, QuantityStatus, SensorStatus
from edged.cli.table import align, printable
from edged.cli.words import duration, size

_HEADINGS: Final = ("SENSOR", "ABOUT", "SAYS", "NOTE")
_INDENT: Final = "  "


def render(document: ContextDocument) -> str:
    """Lay out what a device knows of itself."""
    blocks = [align(list(_rows(document)))]
    if document.sensors:
        blocks.append(align([_HEADINGS, *map(_sensor, document.sensors)]))
    if document.complaints:
        blocks.append(
            "Sensors that do not count:\n" + "".join(f"{_INDENT}{printable(c)}\n" for c in document.complaints)
        )
    return "\n".join(blocks)


def _rows(document: ContextDocument) -> Iterator[tuple[str, str]]:
    quantities = _Quantities(document)
    heat = [
        quantities.say("hottest_celsius", "hottest {:.1f} degC"),
        quantities.say("headroom", "headroom {:.2f} (serious at 1)"),
        quantities.say("next_level_s", "next level in {}", duration),
    ]
    yield "Heat", quantities.line("thermal", *heat)
    yield "Throttled", quantities.line("throttled")
    draw = [quantities.say("battery_percent", "{:.0f} %"), quantities.say("power_watts", "draws {:.1f} W")]
    yield "Power", quantities.line("power", *draw)
    for name, title in (("cpu_pressure", "CPU"), ("memory_pressure", "Memory"), ("io_pressure", "Disk")):
        yield f"{title} pressure", quantities.said(name, "{:.1f} % of the last 10 s")
    yield "Load", quantities.said("load_per_core", "{:.2f} per core")
    yield "Memory left", quantities.said("memory_available_bytes", "{}", size)
    yield "Idle", quantities.said("idle_s", "{}", duration)
    metered = quantities.value("metered")
    cost = "" if metered is None else ("metered" if metered else "not metered")
    yield "Network", quantities.line("link", cost, quantities.say("round_trip_s", "round trip {:.0f} ms", _milli))
    yield "Clock", quantities.line("hours") + ("" if quantities.value("clock_trusted") else ", not believed")
    yield "Accelerators", quantities.line("accelerators")
    yield "Regulatory mode", quantities.line("regulatory")
    for title, values in (("Flags", document.flags), ("Labels", document.labels)):
        if values:
            yield title, printable(", ".join(f"{name}={_word(value)}" for name, value in sorted(values.items())))


class _Quantities:
    """The quantities of a document, in words."""

    def __init__(self, document: ContextDocument) -> None:
        self._all = document.quantities

    def value(self, name: str) -> object:
        """Return what is known of a quantity; None for nothing."""
        return self._all[name].value if name in self._all else None

    def line(self, name: str, *more: str) -> str:
        """Say what a quantity is, and more about it; or why it is not known."""
        return ", ".join([_text(self._all.get(name)), *filter(None, more)])

    def say(self, name: str, form: str, convert: Callable[[float], object] = float) -> str:
        """Say a number in some form, or nothing when it is not known."""
        value = self.value(name)
        return form.format(convert(value)) if isinstance(value, int | float) else ""

    def said(self, name: str, form: str, convert: Callable[[float], object] = float) -> str:
        """Say a number in some form, or why it is not known."""
        return self.say(name, form, convert) or _text(self._all.get(name))


def _text(quantity: QuantityStatus | None) -> str:
    if quantity is None:
        return "not said by this version of the daemon"
    if quantity.value is None:
        return printable(f"unknown ({quantity.reason})")
    return printable(_word(quantity.value))


def _word(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ", ".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _sensor(sensor: SensorStatus) -> tuple[str, ...]:
    says = f"unknown ({sensor.reason})" if sensor.value is None else f"{_word(sensor.value)} {sensor.unit}".rstrip()
    return tuple(map(printable, (sensor.name, sensor.quantity, says, sensor.note)))


def _milli(seconds: float) -> float:
    return seconds * 1000.0
