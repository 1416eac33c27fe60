"""The device's context as metrics. What is not known is left out, so that no dashboard takes it for a good value. Pure."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final, TypeVar

from edged.api.documents.accuracy import AccuracyWord
from edged.sense.context import Context, Level, Link, PowerSource
from edged.sense.reading import Reading
from edged.telemetry.exposition import Exposition, Labels

WordT = TypeVar("WordT", bound=StrEnum)

_PERCENT: Final = 100.0


def add_context(text: Exposition, context: Context) -> None:
    """Add what is known of the device."""
    _add_heat(text, context)
    _add_power(text, context)
    _add_load(text, context)
    _add_network(text, context)


def add_accuracy(text: Exposition, hints: Mapping[tuple[str, AccuracyWord], int]) -> None:
    """Add what apps said of models.

    Args:
        text: Where to.
        hints: How often each was said.
    """
    text.counter(
        "edged_accuracy_hints_total",
        "How often apps said how a model's answers do.",
        (({"model": model, "accuracy": word}, count) for (model, word), count in sorted(hints.items())),
    )


def _add_heat(text: Exposition, context: Context) -> None:
    level = context.thermal.value
    text.gauge(
        "edged_thermal_level",
        "1 for the level of heat that the device is at, 0 for the others.",
        () if level is None else (({"level": each.name.lower()}, int(each is level)) for each in Level),
    )
    _add(text, "edged_thermal_headroom_ratio", "Heat as a share of what is severe; 1 is serious.", context.headroom)
    _add(text, "edged_thermal_hottest_celsius", "The hottest sensor.", context.hottest_celsius)
    _add(text, "edged_thermal_next_level_seconds", "Time to the next level, as it gets warmer.", context.next_level_s)
    _add(text, "edged_thermal_throttled", "1 while heat or voltage slows the hardware down.", context.throttled)
    text.gauge("edged_sensor_complaints", "Sensors that were found to lie.", [({}, len(context.complaints))])


def _add_power(text: Exposition, context: Context) -> None:
    _add_word(text, "edged_power_source", "1 for what the device runs on.", "source", context.power, PowerSource)
    _add(text, "edged_power_battery_ratio", "What is left in the battery.", context.battery_percent, _share)
    _add(text, "edged_power_watts", "What the whole device draws.", context.power_watts)


def _add_load(text: Exposition, context: Context) -> None:
    text.gauge(
        "edged_pressure_ratio",
        "Share of the last 10 s in which something waited (PSI, some).",
        (
            ({"resource": name}, None if reading.value is None else _share(reading.value))
            for name, reading in (
                ("cpu", context.cpu_pressure),
                ("memory", context.memory_pressure),
                ("io", context.io_pressure),
            )
        ),
    )
    _add(text, "edged_load_per_core", "Load average of a minute over the number of cores.", context.load_per_core)
    _add(text, "edged_memory_available_bytes", "Memory that can be had.", context.memory_available_bytes)
    _add(text, "edged_idle_seconds", "Time since somebody last wanted something.", context.idle_s)


def _add_network(text: Exposition, context: Context) -> None:
    _add_word(text, "edged_network_link", "1 for what the gate uses.", "link", context.link, Link)
    _add(text, "edged_network_metered", "1 while bytes cost money.", context.metered)
    _add(text, "edged_network_round_trip_seconds", "How long the network takes to answer.", context.round_trip_s)
    _add(text, "edged_clock_trusted", "1 while the wall clock can be believed.", context.clock_trusted)


def _add(
    text: Exposition,
    name: str,
    help_text: str,
    reading: Reading[float] | Reading[int] | Reading[bool],
    convert: Callable[[float], float] = float,
) -> None:
    text.gauge(name, help_text, [({}, None if reading.value is None else convert(reading.value))])


def _add_word(
    text: Exposition, name: str, help_text: str, label: str, reading: Reading[WordT], words: type[WordT]
) -> None:
    text.gauge(name, help_text, _words(label, reading.value, words))


def _words(label: str, value: WordT | None, words: type[WordT]) -> Iterator[tuple[Labels, float]]:
    if value is not None:
        for word in words:
            yield {label: word.value}, int(word is value)


def _share(percent: float) -> float:
    return percent / _PERCENT
