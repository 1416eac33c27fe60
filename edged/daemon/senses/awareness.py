"""Puts together what the device knows of itself and what it tells of that, in the order in which they have to hear of news.

(1) senses      one context, from a first look on
(2) announcer   events and journal, before anybody decides by a new context
(3) news        the device's history, the gate's report and the updater
(4) accuracy    what apps say
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from aiohttp import web

from edged.api.endpoints.accuracy import AccuracyRoutes
from edged.api.endpoints.context import ContextRoutes
from edged.api.endpoints.events import EventStreams
from edged.api.event_log import Events
from edged.api.metrics.context import add_accuracy, add_context
from edged.api.ports import Models
from edged.clock import Clock
from edged.config.schema import Config, SenseConfig
from edged.daemon.fleet.directory_watch import DirectoryWatch
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.senses.accuracy import AccuracyHints
from edged.daemon.senses.announcing import Announcer
from edged.daemon.senses.network import read_network
from edged.daemon.senses.own import Own
from edged.daemon.senses.presence import Presence
from edged.daemon.senses.senses import Senses
from edged.daemon.senses.sight import Sight
from edged.daemon.senses.updates import UpdateNews
from edged.daemon.serving.serving import Serving
from edged.sense.sysfs import Sensors
from edged.store.history import Entry, Happening
from edged.store.state import StateDb
from edged.telemetry.exposition import Exposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Awareness:
    """The parts. ``senses.run`` is the caller's to run."""

    senses: Senses
    presence: Presence
    accuracy: AccuracyHints
    events: Events
    streams: EventStreams = field(repr=False)

    def routes(self, models: Models) -> Sequence[web.RouteDef]:
        """Return the routes of every socket."""
        return [
            *ContextRoutes(self.senses).routes(),
            *self.streams.routes(),
            *AccuracyRoutes(models=models, hints=self.accuracy).routes(),
        ]

    def add_metrics(self, text: Exposition) -> None:
        """Add what is known to the metrics."""
        add_context(text, self.senses.current)
        add_accuracy(text, self.accuracy.counts)


@asynccontextmanager
async def awareness(
    config: Config,
    *,
    serving: Serving,
    state: StateDb,
    fleet: Fleet,
    clock: Clock,
    rules: Callable[[], SenseConfig],
    regulatory: Callable[[], str],
) -> AsyncIterator[Awareness]:
    """Know the device from here on: when this is entered, the sensors have been looked at once.

    Args:
        config: Paths, and where sensors are.
        serving: Knows how long nobody asked anything.
        state: Tells what is kept in the history.
        fleet: Flags, labels and the time that was signed.
        clock: Both clocks.
        rules: Returns the settings in force.
        regulatory: Returns the name of the mode that the administrator set.
    """
    presence = Presence(path=Path(config.paths.presence), clock=clock)
    own = Own(
        clock=clock,
        idle_s=lambda: presence.idle_s(serving.unwanted_s()),
        trusted_unix_s=fleet.trusted_unix_s,
        network=partial(read_network, Path(config.paths.link_status)),
        flags=lambda: fleet.flags,
        regulatory=regulatory,
        labels=fleet.device.labels,
        sensors=presence.sensors,
    )
    sensors = Sensors(Path(config.sense.sysfs), Path(config.sense.procfs))
    senses = Senses(
        sight=Sight(sensors, clock), own=own, clock=clock, poll_s=lambda: rules().poll_s, cool_s=lambda: rules().cool_s
    )  # (1)
    await senses.refresh()
    fleet.on_change(senses.renew)
    events = Events(epoch=f"{int(clock.unix_s() * 1000):x}")
    announcer = Announcer(events, senses.current, clock=clock, later=asyncio.get_running_loop().call_later)
    senses.on_change(announcer.take)  # (2)
    state.on_history(_on_loop(partial(_tell, events)))  # (3)
    with (
        DirectoryWatch(Path(config.paths.link_status).parent, senses.renew),
        UpdateNews(Path(config.paths.update_status), events),
        closing(AccuracyHints(clock)) as accuracy,  # (4)
    ):
        yield Awareness(
            senses=senses, presence=presence, accuracy=accuracy, events=events, streams=EventStreams(events)
        )


def _on_loop(told: Callable[[Sequence[Entry]], None]) -> Callable[[Sequence[Entry]], None]:
    """Have the running loop do what is asked for in any thread."""
    loop = asyncio.get_running_loop()

    def tell(entries: Sequence[Entry]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(told, entries)

    return tell


def _tell(events: Events, entries: Sequence[Entry]) -> None:
    for entry in entries:
        events.publish("slot" if entry.what is Happening.SLOT_MOVED else "history", entry)
