"""Spans of a day, ``22:00-05:00``: local time, the end not included; over midnight where the end is not after the beginning. Pure.

The quiet window and policies mean the same by them.
"""

import re
from typing import Final

Span = tuple[int, int]
"""First minute, and the first one that is no longer in it."""

_CLOCK: Final = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_SPAN: Final = re.compile(rf"{_CLOCK}-{_CLOCK}\Z")
_MINUTE: Final = re.compile(rf"{_CLOCK}\Z")


def parse_span(text: str) -> Span:
    """Read a span.

    Raises:
        ValueError: It is none; the message says what was expected.
    """
    match = _SPAN.match(text)
    if match is None:
        raise ValueError(f'expected hours such as "22:00-05:00" (midnight is 00:00), not {text[:32]!r}')
    begin_h, begin_min, end_h, end_min = (int(part) for part in match.groups())
    return begin_h * 60 + begin_min, end_h * 60 + end_min


def parse_minute(text: str) -> int:
    """Read a time such as ``23:10`` as a minute of the day.

    Raises:
        ValueError: It is none; the message says what was expected.
    """
    match = _MINUTE.match(text)
    if match is None:
        raise ValueError("expected a time such as 23:10")
    return int(match[1]) * 60 + int(match[2])


def is_within(span: Span, minute: int) -> bool:
    """Tell whether a minute of the day is in a span."""
    begin, end = span
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def clock_text(minute: int) -> str:
    """Write a minute of the day as a clock shows it."""
    return f"{minute // 60:02}:{minute % 60:02}"
