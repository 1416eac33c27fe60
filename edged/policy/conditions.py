"""One condition of a rule, made ready to be asked: whether it holds, and what to say about that. Pure.

``edged.policy.document`` says how conditions are written. What one may compare depends on the kind of its quantity: an order needs
levels or numbers, spans need hours. A flag may have a value of any kind on each device; a condition of another kind does not hold there.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from edged.hours import is_within, parse_span
from edged.nearest import nearest
from edged.policy.ask import Ask
from edged.policy.document import Condition
from edged.policy.quantities import LEVELS, QUANTITIES, Kind, Quantity, quantity_of
from edged.policy.texts import said
from edged.sense.context import Context

UNKNOWN: Final = "unknown"
"""The condition that nothing is known about a quantity."""

Accepts = Callable[[Any], bool]
"""Tells of a value whether a condition holds for it."""

NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
"""What a text looks like that is a number."""

_COMPARED: Final = re.compile(r"(>=|<=|<|>)\s*(\S.*)\Z")
_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {">=": ge, ">": gt, "<=": le, "<": lt}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A condition that is ready to be asked."""

    holds: Callable[[Context, Ask], bool]
    says: Callable[[Context, Ask], str]
    """What the quantity is and what is asked of it, in words; right whether it holds or not."""


def compile_condition(name: str, condition: Condition) -> Compiled:
    """Make a condition ready.

    Args:
        name: Of the quantity.
        condition: As it is written.

    Raises:
        ValueError: There is no such quantity, or it cannot be asked for that; the message says what was expected.
    """
    quantity = quantity_of(name)
    if quantity is None:
        raise ValueError(no_quantity(name))
    if condition == UNKNOWN:
        if quantity.is_always_known:
            raise ValueError(f"expected a value; {name} is always known")
        return _unknown(name, quantity)
    accepts = _acceptance(quantity, condition)
    asked = " or ".join(condition) if isinstance(condition, tuple) else said(quantity, condition)
    is_plain = isinstance(condition, bool | tuple) or (
        isinstance(condition, str) and _COMPARED.match(condition) is None
    )

    def holds(context: Context, ask: Ask) -> bool:
        value = quantity.read(context, ask).value
        return value is not None and accepts(value)

    def says(context: Context, ask: Ask) -> str:
        reading = quantity.read(context, ask)
        if reading.value is None:
            return f"{name} is not known: {reading.reason}"
        text = said(quantity, reading.value)
        if not accepts(reading.value):
            return f"{name} is {text} (not {asked})"
        return f"{name} is {text}" if is_plain and asked == text else f"{name} is {text} ({asked})"

    return Compiled(holds=holds, says=says)


def _unknown(name: str, quantity: Quantity) -> Compiled:
    def holds(context: Context, ask: Ask) -> bool:
        return quantity.read(context, ask).value is None

    def says(context: Context, ask: Ask) -> str:
        reading = quantity.read(context, ask)
        if reading.value is None:
            return f"{name} is not known: {reading.reason}"
        return f"{name} is {said(quantity, reading.value)} (not unknown)"

    return Compiled(holds=holds, says=says)


def _acceptance(quantity: Quantity, condition: Condition) -> Accepts:
    """Return what values a condition holds for.

    Raises:
        ValueError: It does not fit the quantity.
    """
    return _ACCEPTANCES[quantity.kind](quantity, condition)


def _boolean(quantity: Quantity, condition: Condition) -> Accepts:
    if not isinstance(condition, bool):
        values = "true or false" if quantity.is_always_known else 'true, false or "unknown"'
        raise ValueError(f"expected {values}")  # noqa: TRY004 - what is wrong is a value of a document
    return lambda value: value is condition


def _word(quantity: Quantity, condition: Condition) -> Accepts:
    words = _words(quantity, condition)
    return lambda value: value in words


def _set(quantity: Quantity, condition: Condition) -> Accepts:
    words = _words(quantity, condition)
    return lambda value: not words.isdisjoint(value)


def _level(_: Quantity, condition: Condition) -> Accepts:
    if isinstance(condition, str) and (compared := _COMPARED.match(condition)):
        order, limit = _ORDERS[compared[1]], _rank(compared[2])
        return lambda value: order(value, limit)
    if condition == ():
        raise ValueError(f"expected at least one of {', '.join(LEVELS)}")
    ranks = {_rank(word) for word in ((condition,) if not isinstance(condition, tuple) else condition)}
    return lambda value: value in ranks


def _rank(word: object) -> int:
    if not isinstance(word, str) or word not in LEVELS:
        raise ValueError(one_of(LEVELS, word) + ', alone, in a list or compared as in ">= serious"')
    return LEVELS.index(word)


def _number(quantity: Quantity, condition: Condition) -> Accepts:
    if isinstance(condition, int | float) and not isinstance(condition, bool) and _is_finite(condition):
        if not quantity.least <= condition <= quantity.most:
            raise ValueError(f"expected a number{quantity.span}")
        return lambda value: eq(value, condition)
    compared = _COMPARED.match(condition) if isinstance(condition, str) else None
    if compared is None or not NUMBER.match(compared[2]) or not math.isfinite(limit := float(compared[2])):
        unit = f" (unit: {quantity.unit})" if quantity.unit else ""
        raise ValueError(f'expected a number{unit}, a comparison such as "< 15" or ">= 0.9", or "unknown"')
    order = _ORDERS[compared[1]]
    if not (order(quantity.least, limit) or order(quantity.most, limit)):
        raise ValueError(f"expected a comparison that can hold for a number{quantity.span}")
    return lambda value: order(value, limit)


def _is_finite(number: float) -> bool:
    """Tell whether a number is one of those that can be written with a fraction, too: TOML and JSON have integers of any length."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _words(quantity: Quantity, condition: Condition) -> frozenset[str]:
    words = (condition,) if isinstance(condition, str) else condition
    if not isinstance(words, tuple) or not words:
        values = "or a list of words" if quantity.is_always_known else 'a list of words, or "unknown"'
        raise ValueError(f"expected a word in quotes, {values}")
    for word in words:
        if quantity.words and word not in quantity.words:
            raise ValueError(one_of(quantity.words, word))
    return frozenset(words)


def _hours(_: Quantity, condition: Condition) -> Accepts:
    texts = (condition,) if isinstance(condition, str) else condition
    if not isinstance(texts, tuple) or not texts:
        raise ValueError('expected spans of hours such as ["22:00-05:00"], or "unknown"')
    spans = tuple(parse_span(text) for text in texts)
    return lambda minute: any(is_within(span, minute) for span in spans)


def _any(_: Quantity, condition: Condition) -> Accepts:
    """Compare what may have a value of any kind; True is no number."""
    if isinstance(condition, str) and (compared := _COMPARED.match(condition)) and NUMBER.match(compared[2]):
        order, limit = _ORDERS[compared[1]], float(compared[2])
        if not _is_finite(limit):
            raise ValueError("expected a comparison with a finite number")
        return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and order(value, limit)
    if isinstance(condition, int | float) and not _is_finite(condition):
        raise ValueError("expected a finite number")
    if condition == ():
        raise ValueError("expected true, false, a number, a word or a list of words")
    wanted = condition if isinstance(condition, tuple) else (condition,)
    return lambda value: any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in wanted)


_ACCEPTANCES: Final[Mapping[Kind, Callable[[Quantity, Condition], Accepts]]] = {
    Kind.LEVEL: _level,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.WORD: _word,
    Kind.SET: _set,
    Kind.HOURS: _hours,
    Kind.ANY: _any,
}


def one_of(words: tuple[str, ...], found: object) -> str:
    """Say which words there are, and which of them was meant."""
    near = nearest(str(found), words)
    guess = "" if near is None else f" (did you mean {near}?)"
    return f"expected {', '.join(words[:-1])} or {words[-1]}{guess}"


def no_quantity(name: str) -> str:
    """Say that there is no quantity of a name, and which was meant, or else which there are."""
    near = nearest(name, QUANTITIES)
    known = f"known are {', '.join(QUANTITIES)}, flag.NAME and label.NAME" if near is None else f"did you mean {near}?"
    return f"expected the name of a quantity; {known}"
