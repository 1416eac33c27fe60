"""Tells of what is news about the device: to whoever listens to events, and in the journal what an operator may look for later.

What changes too often (a loose plug, a sensor with a broken wire) is not told each time (``edged.daemon.pace``): listeners are
told how it is at the end of each ``EVENTS_PER_S``, the journal how often it changed, once in ``JOURNAL_PER_S``. Decisions are no news of
this part: they follow every context.
"""

import logging
from functools import partial
from typing import Final, Literal, get_args

from edged import journal
from edged.api.documents.context import describe_context, doubted_sensors, words_of
from edged.api.event_log import Events
from edged.clock import Clock
from edged.daemon.pace import EVENTS_MOST, EVENTS_PER_S, JOURNAL_MOST, JOURNAL_PER_S, Later, Outlet
from edged.sense.context import Context, Level, PowerSource

LOG = logging.getLogger(__name__)

_Kind = Literal["heat", "power", "sensors"]
_NOT_KNOWN: Final = "unknown"


class Announcer:
    """Is told of every new context.

    Args:
        events: Where news are published.
        first: What was known when this was made; no news.
        clock: Monotonic.
        later: Has it come back to what it kept back.
    """

    def __init__(self, events: Events, first: Context, *, clock: Clock, later: Later) -> None:
        self._events = events
        self._before = self._published = first
        outlet = partial(Outlet, clock=clock, later=later)
        self._news = outlet(most=EVENTS_MOST, per_s=EVENTS_PER_S, settle=self._publish_news)
        kinds: tuple[_Kind, ...] = get_args(_Kind)
        self._journal = {
            kind: outlet(most=JOURNAL_MOST, per_s=JOURNAL_PER_S, settle=partial(self._journal_count, kind))
            for kind in kinds
        }

    def take(self, context: Context) -> None:
        """Tell what is news about a context."""
        before, self._before = self._before, context
        if words_of(context) != words_of(self._published) and self._news.may_tell():
            self._publish()
        if context.thermal.value is not before.thermal.value and self._journal["heat"].may_tell():
            _journal_heat(before, context)
        if context.power.value is not before.power.value and self._journal["power"].may_tell():
            _journal_power(before, context)
        if doubted_sensors(context).keys() != doubted_sensors(before).keys() and self._journal["sensors"].may_tell():
            _journal_sensors(before, context)

    def _journal_count(self, kind: _Kind, times: int) -> None:
        journal.event(
            LOG,
            journal.READING_UNSTEADY,
            quantity=kind,
            times=times,
            seconds=round(JOURNAL_PER_S),
            now=_words(kind, self._before),
        )

    def _publish_news(self, _times: int) -> None:
        if words_of(self._before) != words_of(self._published):
            self._publish()

    def _publish(self) -> None:
        self._published = self._before
        self._events.publish("context", describe_context(self._published))


def _journal_heat(before: Context, context: Context) -> None:
    old, new = before.thermal.value, context.thermal.value
    is_hotter = new is not None and new >= Level.SERIOUS and (old is None or new > old)
    journal.event(
        LOG,
        journal.HEAT_ROSE if is_hotter else journal.HEAT_CHANGED,
        level=_level(new),
        before=_level(old),
        celsius=context.hottest_celsius.value if context.hottest_celsius.value is not None else _NOT_KNOWN,
        reason=context.thermal.reason,
    )


def _journal_power(before: Context, context: Context) -> None:
    percent = context.battery_percent.value
    journal.event(
        LOG,
        journal.POWER_CHANGED,
        source=_source(context.power.value),
        before=_source(before.power.value),
        percent=_NOT_KNOWN if percent is None else round(percent),
        reason=context.power.reason,
    )


def _journal_sensors(before: Context, context: Context) -> None:
    old, new = doubted_sensors(before), doubted_sensors(context)
    for name in sorted(new.keys() - old.keys()):
        journal.event(LOG, journal.SENSOR_DOUBTED, sensor=name, reason=new[name])
    for name in sorted(old.keys() - new.keys()):
        journal.event(LOG, journal.SENSOR_BELIEVED, sensor=name)


def _words(kind: _Kind, context: Context) -> str:
    """Say how something is now."""
    match kind:
        case "heat":
            return _level(context.thermal.value)
        case "power":
            return _source(context.power.value)
        case "sensors":
            return ", ".join(sorted(doubted_sensors(context))) or "all are believed"


def _level(level: Level | None) -> str:
    return _NOT_KNOWN if level is None else level.name.lower()


def _source(source: PowerSource | None) -> str:
    return _NOT_KNOWN if source is None else source.value
