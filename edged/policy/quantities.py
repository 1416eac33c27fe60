"""The quantities that policies may ask about: what they are called, what values they take, and where they come from. Pure.

The same names are in ``/edged/v1/context``, in the given of policy tests and behind ``--set``. Those of a request are the last four.
``flag.NAME`` and ``label.NAME`` stand for every feature flag and label.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, get_args

from edged.bundle.manifest import Accelerator
from edged.policy.ask import Ask
from edged.sense.context import Context, Level, Link, PowerSource
from edged.sense.reading import Reading, known, unknown


class Kind(StrEnum):
    """What values a quantity takes."""

    LEVEL = "level"
    """Words with an order."""
    NUMBER = "number"
    BOOLEAN = "boolean"
    WORD = "word"
    """One of ``words``; any, where there are none."""
    SET = "set"
    """Several words at once; a condition holds when any of those that it names is among them."""
    HOURS = "hours"
    """A minute of the day, asked for by spans."""
    ANY = "any"
    """True or false, a number or a word: whatever a flag is on a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """Something that a condition may be about."""

    kind: Kind
    unit: str
    """For people; empty where there is none."""
    meaning: str
    read: Callable[[Context, Ask], Reading[Any]]
    words: tuple[str, ...] = ()
    least: float = -math.inf
    most: float = math.inf
    """Limits of a number, which it may reach."""
    is_always_known: bool = False

    @property
    def span(self) -> str:
        """What a number may be, for people."""
        above = "" if self.least == -math.inf else f" from {self.least:g}"
        return above if self.most == math.inf else f"{above} to {self.most:g}"


def _of_context(name: str) -> Callable[[Context, Ask], Reading[Any]]:
    def read(context: Context, _: Ask) -> Reading[Any]:
        value: Reading[Any] = getattr(context, name)
        return value

    return read


def _quantity(name: str, kind: Kind, unit: str, meaning: str, words: tuple[str, ...] = ()) -> Quantity:
    return Quantity(kind=kind, unit=unit, meaning=meaning, read=_of_context(name), words=words)


def _amount(name: str, unit: str, meaning: str, most: float = math.inf) -> Quantity:
    return Quantity(kind=Kind.NUMBER, unit=unit, meaning=meaning, read=_of_context(name), least=0.0, most=most)


def _share(name: str, meaning: str) -> Quantity:
    return _amount(name, "%", meaning, 100.0)


LEVELS: Final = tuple(level.name.lower() for level in Level)

QUANTITIES: Final[Mapping[str, Quantity]] = {
    "thermal": _quantity("thermal", Kind.LEVEL, "", "how close heat has come to what the device can bear", LEVELS),
    "headroom": _quantity(
        "headroom",
        Kind.NUMBER,
        "",
        "how near heat is to serious: 0 for 30 degrees Celsius below it or cooler, 1 where it begins",
    ),
    "hottest_celsius": _quantity("hottest_celsius", Kind.NUMBER, "degrees Celsius", "the hottest zone"),
    "next_level_s": _amount("next_level_s", "s", "time to the next thermal level, as it gets warmer"),
    "throttled": _quantity("throttled", Kind.BOOLEAN, "", "whether heat or voltage slows the hardware down now"),
    "power": _quantity("power", Kind.WORD, "", "what the device runs on", tuple(PowerSource)),
    "battery_percent": _share("battery_percent", "what is left in the battery"),
    "power_watts": _amount("power_watts", "W", "what the whole device draws"),
    "cpu_pressure": _share("cpu_pressure", "time in which something waited for a CPU (PSI)"),
    "memory_pressure": _share("memory_pressure", "time in which something waited for memory (PSI)"),
    "io_pressure": _share("io_pressure", "time in which something waited for a disk (PSI)"),
    "load_per_core": _amount("load_per_core", "", "load average of a minute over the number of cores"),
    "memory_available_bytes": _amount("memory_available_bytes", "bytes", "memory that can be had"),
    "idle_s": _amount("idle_s", "s", "time since somebody last wanted something"),
    "link": _quantity("link", Kind.WORD, "", "what the gate reaches the network over", tuple(Link)),
    "metered": _quantity("metered", Kind.BOOLEAN, "", "whether bytes cost money"),
    "round_trip_s": _amount("round_trip_s", "s", "how long the network takes to answer"),
    "hours": _quantity("minute_of_day", Kind.HOURS, "", "the time on the clock on the wall"),
    "clock_trusted": _quantity("clock_trusted", Kind.BOOLEAN, "", "whether the wall clock can be believed"),
    "accelerators": Quantity(
        kind=Kind.SET,
        unit="",
        meaning="accelerators that are there now",
        read=lambda context, _: known(context.accelerators),
        words=get_args(Accelerator),
        is_always_known=True,
    ),
    "regulatory": Quantity(
        kind=Kind.WORD,
        unit="",
        meaning="the mode that the administrator set",
        read=lambda context, _: known(context.regulatory),
        is_always_known=True,
    ),
    "model": Quantity(
        kind=Kind.WORD,
        unit="",
        meaning="the model that is asked",
        read=lambda _, ask: known(ask.model),
        is_always_known=True,
    ),
    "request": Quantity(
        kind=Kind.WORD,
        unit="",
        meaning="whether somebody waits for the answer",
        read=lambda _, ask: known(ask.request_class.value),
        words=("interactive", "background"),
        is_always_known=True,
    ),
    "consent": Quantity(
        kind=Kind.BOOLEAN,
        unit="",
        meaning="whether the caller allows that its input leaves the device",
        read=lambda _, ask: known(ask.has_consent),
        is_always_known=True,
    ),
    "accuracy": Quantity(
        kind=Kind.WORD,
        unit="",
        meaning="how the model's answers do, as apps say",
        read=lambda _, ask: ask.accuracy,
        words=("ok", "degraded"),
    ),
}

FLAG_PREFIX: Final = "flag."
LABEL_PREFIX: Final = "label."


def quantity_of(name: str) -> Quantity | None:
    """Find a quantity by its name; None when there is none.

    Args:
        name: One of ``QUANTITIES``, ``flag.NAME`` or ``label.NAME``.
    """
    if name.startswith(FLAG_PREFIX) and len(name) > len(FLAG_PREFIX):
        flag = name.removeprefix(FLAG_PREFIX)
        return Quantity(kind=Kind.ANY, unit="", meaning=f"the feature flag {flag}", read=_of_flag(flag))
    if name.startswith(LABEL_PREFIX) and len(name) > len(LABEL_PREFIX):
        label = name.removeprefix(LABEL_PREFIX)
        return Quantity(kind=Kind.WORD, unit="", meaning=f"the device's label {label}", read=_of_label(label))
    return QUANTITIES.get(name)


def _of_flag(name: str) -> Callable[[Context, Ask], Reading[Any]]:
    missing: Reading[Any] = unknown("no such flag is in force here")

    def read(context: Context, _: Ask) -> Reading[Any]:
        value = context.flags.get(name)
        return missing if value is None else known(value)

    return read


def _of_label(name: str) -> Callable[[Context, Ask], Reading[Any]]:
    missing: Reading[Any] = unknown("this device has no such label")

    def read(context: Context, _: Ask) -> Reading[Any]:
        value = context.labels.get(name)
        return missing if value is None else known(value)

    return read
