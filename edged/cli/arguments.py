"""Values of options: each reader takes the text of an argument, and says what it is not where it is refused. Pure."""

import argparse
import math
import re
from collections.abc import Callable
from typing import Final

_SPAN: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|min|m|h|d)")
_MOST_SECONDS: Final = 1e9
"""The system's waits take no number that is ten times as large."""
_UNITS_S: Final = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def whole_number(*, least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within limits, both included."""

    def read(text: str) -> int:
        # Only digits: int() takes blanks, underscores and the digits of other scripts, too.
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def seconds(text: str) -> float:
    """Read a number of seconds, 0 among them, and no more than thirty years."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # NaN never passes.
    if not 0 <= value <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def span(*, most_s: float) -> Callable[[str], float]:
    """Return a reader of spans of time that have a unit, longer than nothing and at most so many seconds."""
    longest = f"{most_s / _UNITS_S['d']:g}d"

    def read(text: str) -> float:
        match = _SPAN.fullmatch(text)
        if match is None:
            raise argparse.ArgumentTypeError(f"{text!r} is no span of time such as 90s, 30m, 2h or 1d")
        if not 0 < (value := float(match[1]) * _UNITS_S[match[2]]) <= most_s:
            raise argparse.ArgumentTypeError(f"{text} is {'longer than ' + longest if value else 'no time at all'}")
        return value

    return read
