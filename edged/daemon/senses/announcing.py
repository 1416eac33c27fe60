"""Tells of what is news about the device: to whoever listens to events, and in the journal what an operator may look for later."""

import logging
from typing import Final

from edged import journal
from edged.api.documents.context import describe_context, doubted_sensors, words_of
from edged.api.event_log import Events
from edged.sense.context import Context, Level

LOG = logging.getLogger(__name__)

_NOT_KNOWN: Final = "unknown"


class Announcer:
    """Is told of every new context.

    Args:
        events: Where news are published.
        first: What was known when this was made; no news.
    """

    def __init__(self, events: Events, first: Context) -> None:
        self._events = events
        self._before = first

    def take(self, context: Context) -> None:
        """Tell what is news about a context."""
        before, self._before = self._before, context
        if words_of(context) != words_of(before):
            self._events.publish("context", describe_context(context))
        _journal_heat(before, context)
        _journal_power(before, context)
        _journal_sensors(before, context)


def _journal_heat(before: Context, context: Context) -> None:
    old, new = before.thermal.value, context.thermal.value
    if old is new:
        return
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
    old, new = before.power.value, context.power.value
    if old is not new:
        percent = context.battery_percent.value
        journal.event(
            LOG,
            journal.POWER_CHANGED,
            source=_NOT_KNOWN if new is None else new.value,
            before=_NOT_KNOWN if old is None else old.value,
            percent=_NOT_KNOWN if percent is None else round(percent),
            reason=context.power.reason,
        )


def _journal_sensors(before: Context, context: Context) -> None:
    old, new = doubted_sensors(before), doubted_sensors(context)
    for name in sorted(new.keys() - old.keys()):
        journal.event(LOG, journal.SENSOR_DOUBTED, sensor=name, reason=new[name])
    for name in sorted(old.keys() - new.keys()):
        journal.event(LOG, journal.SENSOR_BELIEVED, sensor=name)


def _level(level: Level | None) -> str:
    return _NOT_KNOWN if level is None else level.name.lower()
