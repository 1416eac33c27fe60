"""A situation as people write it, ``thermal=serious``: for the tests of policies, and for the question what would be. Pure.

Names and values are those of conditions, without comparisons: ``battery_percent = 15``, ``hours = "23:10"``, ``accelerators =
"cpu,npu"``, ``flag.beta = true``. ``unknown`` is that nothing is known about it, and ``power = "battery:15"`` gives two quantities. All
others stay as they are: ``thermal`` given alone leaves ``headroom`` where it was.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edged.errors import Problem
from edged.hours import parse_minute
from edged.policy.ask import Ask
from edged.policy.conditions import NUMBER, UNKNOWN, no_quantity, one_of
from edged.policy.quantities import FLAG_PREFIX, LABEL_PREFIX, LEVELS, Kind, Quantity, quantity_of
from edged.policy.texts import written
from edged.runtime.calls import RequestClass
from edged.sense.context import Context, Level, Link, PowerSource
from edged.sense.reading import Reading, known, unknown

Value = bool | int | float | str
Given = Mapping[str, Value]

MODEL: Final = "made-up"
"""What the tests of policies ask, unless they say otherwise."""

CALM: Final = Context(
    thermal=known(Level.NOMINAL),
    headroom=known(0.4),
    hottest_celsius=known(40.0),
    next_level_s=unknown("it does not get warmer"),
    throttled=known(value=False),
    power=known(PowerSource.MAINS),
    battery_percent=known(100.0),
    power_watts=known(5.0),
    cpu_pressure=known(0.0),
    memory_pressure=known(0.0),
    io_pressure=known(0.0),
    load_per_core=known(0.1),
    memory_available_bytes=known(1 << 30),
    idle_s=known(3600.0),
    link=known(Link.ETHERNET),
    metered=known(value=False),
    round_trip_s=known(0.02),
    minute_of_day=known(12 * 60),
    clock_trusted=known(value=True),
)
"""A cool, idle, plugged in, connected device at noon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is decided in, and for what request."""

    context: Context = CALM
    ask: Ask = field(default_factory=lambda: Ask(model=MODEL))


def given_problems(given: Given) -> list[Problem]:
    """Return what is wrong with a situation as it is written; each problem's pointer is the name."""
    problems: list[Problem] = []
    for name, value in given.items():
        try:
            _set(Situation(), name, value)
        except ValueError as exc:
            # Of a quantity that there is not, its value says nothing.
            found = "" if quantity_of(name) is None else written(value)
            problems.append(Problem(pointer=name, expected=str(exc), found=found))
    return problems


def situation_of(given: Given, base: Situation | None = None) -> Situation:
    """Return a situation with some quantities set.

    Args:
        given: Values by name, in their order: a later one wins.
        base: What it is otherwise; None for a calm device.

    Raises:
        ValueError: One cannot be read; ``given_problems`` names them all.
    """
    situation = Situation() if base is None else base
    for name, value in given.items():
        situation = _set(situation, name, value)
    return situation


def _set(situation: Situation, name: str, value: Value) -> Situation:
    quantity = quantity_of(name)
    if quantity is None:
        raise ValueError(no_quantity(name))
    context, ask = situation.context, situation.ask
    if name == "power" and isinstance(value, str) and ":" in value:
        source, _, percent = value.partition(":")
        return _set(_set(situation, "power", source), "battery_percent", percent)
    if name.startswith((FLAG_PREFIX, LABEL_PREFIX)):
        return replace(situation, context=_with_entry(context, name, value))
    if name == "accuracy":
        return replace(situation, ask=replace(ask, accuracy=_reading(quantity, name, value)))
    if (of_ask := _ASKS.get(name)) is not None:
        return replace(situation, ask=of_ask(ask, _plain(quantity, name, value)))
    changes: dict[str, Any] = (
        {name: _plain(quantity, name, value)}
        if name in _PLAIN
        else {_FIELDS.get(name, name): _reading(quantity, name, value)}
    )
    return replace(situation, context=replace(context, **changes))


def _with_entry(context: Context, name: str, value: Value) -> Context:
    """Set a flag or a label; an unknown one is not there."""
    if name.startswith(LABEL_PREFIX):
        labels = {key: text for key, text in context.labels.items() if key != name.removeprefix(LABEL_PREFIX)}
        new = {} if value == UNKNOWN else {name.removeprefix(LABEL_PREFIX): str(value)}
        return replace(context, labels=labels | new)
    flags = {key: held for key, held in context.flags.items() if key != name.removeprefix(FLAG_PREFIX)}
    return replace(context, flags=flags if value == UNKNOWN else flags | {name.removeprefix(FLAG_PREFIX): _flag(value)})


def _flag(value: Value) -> Value:
    """Read a flag's value; a text that looks like one of another kind is meant as that."""
    if not isinstance(value, str):
        return value
    if value in {"true", "false"}:
        return value == "true"
    if not NUMBER.match(value) or not math.isfinite(number := float(value)):
        return value
    return number if set(value) & set(".eE") else int(value)


def _plain(quantity: Quantity, name: str, value: Value) -> Any:
    if value == UNKNOWN:
        raise ValueError(f"expected a value; {name} is always known")
    return _read(quantity, value)


def _reading(quantity: Quantity, name: str, value: Value) -> Reading[Any]:
    if value == UNKNOWN:
        return unknown("it was given as unknown")
    found = _read(quantity, value)
    return known(_TYPES[name](found) if name in _TYPES else found)


def _read(quantity: Quantity, value: Value) -> Any:
    return _READERS[quantity.kind](quantity, value)


def _level(_: Quantity, value: Value) -> Level:
    if value not in LEVELS:
        raise ValueError(one_of(LEVELS, value))
    return Level(LEVELS.index(str(value)))


def _minute(_: Quantity, value: Value) -> int:
    return parse_minute(str(value))


def _set_of(quantity: Quantity, value: Value) -> frozenset[str]:
    words = frozenset(part.strip() for part in str(value).split(",") if part.strip())
    for word in sorted(words - set(quantity.words)):
        raise ValueError(one_of(quantity.words, word))
    return words


def _word(quantity: Quantity, value: Value) -> str:
    if quantity.words and value not in quantity.words:
        raise ValueError(one_of(quantity.words, value))
    return str(value)


def _boolean(_: Quantity, value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if value not in {"true", "false"}:
        raise ValueError("expected true or false")
    return value == "true"


def _number(quantity: Quantity, value: Value) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and quantity.least <= number <= quantity.most):
        raise ValueError(f"expected a number{quantity.span}")
    return number


_READERS: Final[Mapping[Kind, Callable[[Quantity, Value], Any]]] = {
    Kind.LEVEL: _level,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.WORD: _word,
    Kind.SET: _set_of,
    Kind.HOURS: _minute,
    Kind.ANY: _word,
}
_TYPES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "power": PowerSource,
    "link": Link,
    "memory_available_bytes": int,
}
_FIELDS: Final = {"hours": "minute_of_day"}
"""Where quantities are in a context that have another name there."""
_PLAIN: Final = frozenset({"accelerators", "regulatory"})
"""Fields of a context that are no readings."""


_ASKS: Final[Mapping[str, Callable[[Ask, Any], Ask]]] = {
    "model": lambda ask, value: replace(ask, model=value),
    "request": lambda ask, value: replace(ask, request_class=RequestClass(value)),
    "consent": lambda ask, value: replace(ask, has_consent=value),
}
"""Quantities of the request that are always known."""
