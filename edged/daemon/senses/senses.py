"""Keeps one current context of the device, and tells when it is another one.

The sensors are looked at every ``poll_s``, and at once when the kernel says that a device has changed (``edged.daemon.senses.uevents``).
What belongs to one change comes in several messages, so a look waits ``SETTLE_S`` for the others; and however often a loose plug has the
kernel speak, there is one look in ``GAP_S``. What is read of a sensor that hangs counts until it is stale (``edged.daemon.senses.sight``).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from edged.clock import Clock
from edged.daemon.senses.own import Own
from edged.daemon.senses.sight import Sight
from edged.daemon.senses.uevents import Uevents
from edged.sense.assemble import Assembled, History, Sensor, assemble
from edged.sense.context import Context
from edged.sense.energy import Draw
from edged.sense.levels import COOL_S
from edged.sense.reading import unknown
from edged.sense.snapshot import Snapshot

LOG = logging.getLogger(__name__)

SETTLE_S: Final = 0.02
GAP_S: Final = 0.1


class Senses:
    """Fulfils ``edged.daemon.decisions.seams.Contexts`` and ``edged.api.ports.ContextSource``. For one event loop.

    Args:
        sight: Looks at sensors.
        own: What is known without a sensor.
        clock: Both clocks.
        poll_s: Returns the seconds between two looks.
        cool_s: Returns for how long a sensor has to be cooler before it leaves a level.
    """

    def __init__(
        self,
        *,
        sight: Sight,
        own: Own,
        clock: Clock,
        poll_s: Callable[[], float],
        cool_s: Callable[[], float] = lambda: COOL_S,
    ) -> None:
        self._sight = sight
        self._own = own
        self._clock = clock
        self._poll_s = poll_s
        self._cool_s = cool_s
        self._listeners: list[Callable[[Context], None]] = []
        self._woken = asyncio.Event()
        self._looked_s = -GAP_S
        self._said = ""
        """What was logged last of sensors that cannot be understood."""
        self._seen = Assembled(context=Context(), history=History(), sensors=(), draws=())
        self._current = own.complete(self._seen.context)

    @property
    def current(self) -> Context:
        """The newest context; the same object until something in it changes."""
        return self._current

    @property
    def sensors(self) -> Sequence[Sensor]:
        """The sensors one by one, as they were seen last, and what else tells of the device."""
        return [*self._seen.sensors, *self._own.sensors()]

    @property
    def draws(self) -> Sequence[Draw]:
        """What the device and its parts drew when that was looked at last."""
        return self._seen.draws

    def on_change(self, told: Callable[[Context], None]) -> None:
        """Have somebody told of every new context, on the event loop; in the order of these calls."""
        self._listeners.append(told)

    def wake(self) -> None:
        """Have the sensors looked at as soon as may be."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Look again and again, until cancelled."""
        with Uevents(self.wake):
            while True:
                await self._until_due()
                await self.refresh()

    async def refresh(self) -> None:
        """Look once."""
        self._woken.clear()
        self._looked_s = self._clock.monotonic_s()
        await self._sight.look()
        self._seen = self._assembled()
        self.renew()

    def renew(self) -> None:
        """Make the context anew without looking at sensors: what is known without them has changed."""
        before = self._current
        after = self._own.complete(replace(self._seen.context, serial=before.serial, at_unix_s=before.at_unix_s))
        if after == before:
            return
        self._current = replace(after, serial=before.serial + 1, at_unix_s=self._clock.unix_s())
        for told in self._listeners:
            told(self._current)

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s()):
                await self._woken.wait()
        if self._woken.is_set():
            await asyncio.sleep(max(SETTLE_S, self._looked_s + GAP_S - self._clock.monotonic_s()))

    def _assembled(self) -> Assembled:
        seen = self._understood(self._sight.snapshot())
        if (reason := self._sight.missing().get("supplies")) is None:
            return seen
        # A device whose supplies cannot be seen is not one without batteries.
        blind = replace(seen.context, power=unknown(reason), battery_percent=unknown(reason))
        return replace(seen, context=blind)

    def _understood(self, snapshot: Snapshot) -> Assembled:
        judge = partial(assemble, now_s=self._clock.monotonic_s(), cool_s=self._cool_s())
        try:
            seen = judge(snapshot, self._seen.history)
        except Exception as exc:  # whatever a driver says that nobody foresaw, the device goes on answering
            if repr(exc) != self._said:
                self._said = repr(exc)
                LOG.exception("What the sensors say cannot be understood, and nothing is known of them")
            # Nothing is remembered either: it may be what cannot be understood.
            return judge(Snapshot(why_unreadable=f"it cannot be understood: {exc!r}"), History())
        self._said = ""
        return seen
