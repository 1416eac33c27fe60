"""The stop switch: a model whose version may not answer is held, within the turn of the event loop in which that became known.

It is asked in two moments, and in both before anybody is answered: when the fleet's documents have changed or a lease has run out, and
when another version is about to answer (``Serving.supervise``). It waits for nothing and asks nobody who could be busy.

The worker of a held model stays loaded: memory is worth less than the seconds that lifting the stop would take otherwise.
"""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Final

from edged import journal
from edged.daemon.fleet.diary import Diary
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.lifecycle.advice import Stopped
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.serving import Serving
from edged.errors import ModelStoppedError
from edged.ids import ModelName, Version
from edged.journal import Event
from edged.ops.flags import STOP_SENSITIVE, STOP_SENSITIVE_POLL_S
from edged.store.history import Happening

LOG = logging.getLogger(__name__)

_HELD: Final = {"stop": Happening.STOPPED, "lease": Happening.LEASE_EXPIRED}
_RELEASED: Final = {Happening.STOPPED: Happening.STOP_LIFTED, Happening.LEASE_EXPIRED: Happening.LEASE_RENEWED}
_EVENTS: Final[dict[Happening, Event]] = {
    Happening.STOPPED: journal.MODEL_STOPPED,
    Happening.STOP_LIFTED: journal.MODEL_STOP_LIFTED,
    Happening.LEASE_EXPIRED: journal.LEASE_EXPIRED,
    Happening.LEASE_RENEWED: journal.LEASE_RENEWED,
}
_NO_VERSION: Final = Version(0, 0, 0)


class StopSwitch:
    """Holds and releases models.

    Args:
        fleet: What may answer.
        serving: Told to hold and to release.
        table: Which version is active, while it is not loaded.
        diary: Told what changes.
        poll_interval_s: Returns how often the updater looks for news, in seconds; before that it is no use to ask again.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        serving: Serving,
        table: SlotTable,
        diary: Diary,
        poll_interval_s: Callable[[], float],
    ) -> None:
        self._fleet = fleet
        self._serving = serving
        self._table = table
        self._diary = diary
        self._poll_interval_s = poll_interval_s
        self._held: dict[ModelName, Stopped] = {}
        # What the history knows already is not told again by each start.
        newest = diary.newest([*_RELEASED, *_RELEASED.values()])
        self._noted: dict[ModelName, tuple[Happening, str]] = {
            model: (entry.what, entry.cause) for model, entry in newest.items() if entry.what in _RELEASED
        }

    @property
    def models(self) -> frozenset[ModelName]:
        """Models that are held, or might be."""
        known = {*self._fleet.restrained, *self._held, *self._noted, *self._serving.served, *self._table.models}
        return frozenset(known)

    def stopped(self, model: ModelName) -> Stopped | None:
        """Return why a model is held; None when it is not."""
        return self._held.get(model)

    def review(self, model: ModelName) -> None:
        """Hold or release a model, as it has to be now."""
        self._end_replaced(model)
        version = self._version(model)
        stopped = None if version is None else self._fleet.stopped(model, version)
        if stopped is None:
            if self._held.pop(model, None) is not None:
                self._serving.release(model)
            if model in self._noted:
                what, _ = self._noted.pop(model)
                self._tell(_RELEASED[what], model, version, cause=self._fleet.cause_of("stop"))
        elif stopped != self._held.get(model):
            self._held[model] = stopped
            self._serving.hold(model, partial(self._error, model, stopped))
            what, before = _HELD[stopped.source], self._noted.get(model)
            self._noted[model] = (what, stopped.cause)
            if self._noted[model] != before:
                self._tell(what, model, version, cause=stopped.cause, reason=stopped.reason)

    def _end_replaced(self, model: ModelName) -> None:
        """End what a version that was replaced still has to finish, if that version is stopped now."""
        stand_in = self._serving.stand_ins.get(model)
        answering = (self._serving.served.get(model), None if stand_in is None else stand_in.served)
        for served in self._serving.loaded(model):
            stopped = self._fleet.stopped(model, served.loadable.bundle.manifest.semver)
            if stopped is not None and served not in answering:
                served.abort(self._error(model, stopped))

    def _version(self, model: ModelName) -> Version | None:
        """Return the version whose stop counts for a model; None for a model that this device has nothing to do with."""
        served = self._serving.served.get(model)
        if served is not None:
            return served.loadable.bundle.manifest.semver
        slots = self._table[model]
        contents = [slot.content for slot in (slots.active_slot, slots.a, slots.b) if slot is not None and slot.content]
        if contents:
            return contents[0].version
        return _NO_VERSION if model in self._fleet.models else None

    def _error(self, model: ModelName, stopped: Stopped) -> ModelStoppedError:
        who = "its publisher stopped it" if stopped.source == "stop" else "it may not answer for now"
        return ModelStoppedError(
            f"model {model}: {who}: {stopped.reason}",
            hint="It answers again when a newer signed document says so; nothing has to be done on this device."
            if stopped.source == "stop"
            else "It answers again when this device has reached its repository.",
            retry_after_s=max(1, math.ceil(self._next_news_s())),
            since=stopped.since,
        )

    def _next_news_s(self) -> float:
        interval_s = self._poll_interval_s()
        return min(interval_s, STOP_SENSITIVE_POLL_S) if self._fleet.flags.get(STOP_SENSITIVE) else interval_s

    def _tell(
        self, what: Happening, model: ModelName, version: Version | None, *, cause: str, reason: str = ""
    ) -> None:
        self._diary.note(what, model=model, version=version, cause=cause, reason=reason)
        journal.event(LOG, _EVENTS[what], model=model, version=version or "", cause=cause, reason=reason)
