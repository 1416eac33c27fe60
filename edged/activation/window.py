"""The quiet window: when a device may validate and activate what it has fetched. Pure.

All conditions must hold at once. A condition whose sensor says nothing does not hold: a device that does not know how hot it is counts
as not cool. So that such a device is not left behind for ever, the window opens by itself after ``max_wait_s``; and an operator may open
it at any time.

Hours are what the clock on the wall shows. On the day when that is set forward, hours that are skipped do not come; on the day when it
is set back, those that come twice count twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from edged.codec import Document
from edged.hours import clock_text, is_within, parse_span

HOURS_PATTERN: Final = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$(?!\n)"
Hours = Annotated[str, msgspec.Meta(pattern=HOURS_PATTERN)]
"""``22:00-05:00``, local time, the end not included; over midnight where the end is not after the beginning, so that ``00:00-00:00`` is
all of the day."""


class WindowRules(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What must hold before a candidate is validated and activated; the defaults ask for nothing."""

    hours: tuple[Hours, ...] = ()
    """Any of these; empty means at any time."""
    idle_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """No app has asked any model for so long, nor was anybody at the device, as far as that is known."""
    plugged_in: bool = False
    cool_below_c: Annotated[float, msgspec.Meta(ge=-40, le=150)] | None = None
    """The hottest thermal zone, degrees Celsius."""
    max_wait_s: Annotated[float, msgspec.Meta(ge=0)] = 7 * 86400.0
    """After so long the window counts as open; 0 waits for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a window is judged by. None: not known, and ``unknown`` says why by the field's name."""

    minute_of_day: int | None
    """0 to 1439, local time."""
    idle_s: float
    is_plugged_in: bool | None
    hottest_c: float | None
    unknown: tuple[tuple[str, str], ...] = ()


def unmet(rules: WindowRules, conditions: Conditions) -> list[str]:
    """Return what is waited for, in words; empty when the window is open."""
    return list(_unmet(rules, conditions))


def reasons_to_wait(
    rules: tuple[WindowRules, ...], conditions: Conditions, *, waited_s: float, is_overridden: bool
) -> list[str]:
    """Return why a candidate has to wait; empty when it may go on.

    Args:
        rules: Of the device and of the fleet's policy; all of them count, each for as long as its own ``max_wait_s``.
        conditions: As they are.
        waited_s: How long the candidate has been ready, whether the window was open meanwhile or not.
        is_overridden: An operator opened the window for it.
    """
    if is_overridden:
        return []
    reasons: dict[str, None] = {}
    for part in rules:
        if not part.max_wait_s or waited_s < part.max_wait_s:
            reasons.update(dict.fromkeys(unmet(part, conditions)))
    return list(reasons)


def _unmet(rules: WindowRules, conditions: Conditions) -> Iterator[str]:
    unknown = dict(conditions.unknown)
    minute = conditions.minute_of_day
    if rules.hours and (minute is None or not any(is_within(parse_span(span), minute) for span in rules.hours)):
        why = unknown.get("minute_of_day", "the time is not known") if minute is None else f"now {clock_text(minute)}"
        yield f"the hours {', '.join(rules.hours)} ({why})"
    if conditions.idle_s < rules.idle_s:
        yield f"{rules.idle_s:g} s without a request or a person (now {conditions.idle_s:.0f} s)"
    if rules.plugged_in and not conditions.is_plugged_in:
        is_known = conditions.is_plugged_in is not None
        why = "now on battery" if is_known else unknown.get("is_plugged_in", "the power source is not known")
        yield f"mains power ({why})"
    limit_c, hottest_c = rules.cool_below_c, conditions.hottest_c
    if limit_c is not None and (hottest_c is None or hottest_c >= limit_c):
        why = unknown.get("hottest_c", "the temperature is not known") if hottest_c is None else f"now {hottest_c:.1f}"
        yield f"less than {limit_c:g} degrees Celsius ({why})"
