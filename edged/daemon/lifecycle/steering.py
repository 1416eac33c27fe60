"""What administrators tell the device about its models: back to the version before, on at once, and what happened so far."""

import asyncio
import logging
from collections.abc import Sequence

from edged import journal
from edged.clock import Clock
from edged.daemon.lifecycle.advice import QuietWindow
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.errors import ModelUnknownError, NothingToDoError, NotPermittedError, StoreError
from edged.ids import ModelName, Version
from edged.store.history import Entry, Happening

LOG = logging.getLogger(__name__)


class Steering:
    """Fulfils ``edged.api.ports.Updates``. What is begun is done to its end, also when whoever asked for it has left.

    Args:
        lifecycle: Does it.
        table: The slots.
        window: Opened on demand.
        clock: Wall clock of the history.
    """

    def __init__(self, *, lifecycle: Lifecycle, table: SlotTable, window: QuietWindow, clock: Clock) -> None:
        self._lifecycle = lifecycle
        self._table = table
        self._window = window
        self._clock = clock

    async def rollback(self, model: str, *, reason: str, by: str) -> str:
        """Turn the active version down for good; see ``Updates.rollback``."""
        return await asyncio.shield(asyncio.create_task(self._roll_back(ModelName(model), reason=reason, by=by)))

    async def apply(self, model: str, *, version: str | None, by: str) -> str:
        """Let a model's candidate go on at once; see ``Updates.apply``."""
        return await asyncio.shield(asyncio.create_task(self._apply(ModelName(model), version=version, by=by)))

    def history(self, *, model: str, limit: int) -> Sequence[Entry]:
        """Return what happened, newest first; see ``Updates.history``."""
        return self._table.history(model=model, limit=limit)

    async def _roll_back(self, model: ModelName, *, reason: str, by: str) -> str:
        if model not in self._table.models:
            raise _unknown(model)
        active = self._table[model].active_slot
        if active is None or not self._lifecycle.answering.may_fall_back(model):
            raise NothingToDoError(
                f"model {model} has no proven version to go back to",
                hint="Roll out another version, or have the publisher stop the model.",
            )
        reason = reason or "an operator turned it down"
        if not await self._lifecycle.answering.turn_down(model, active, cause=by, reason=reason, in_any_state=True):
            raise NothingToDoError(f"model {model} was moved meanwhile", hint="Look at its status, and ask again.")
        instead = self._table[model].active_slot
        if instead is None or instead.content is None:
            raise StoreError(
                f"the version before of {model} is damaged, and nothing answers in its place",
                hint="The updater mends the store at its next poll.",
            )
        return str(instead.content.version)

    async def _apply(self, model: ModelName, *, version: str | None, by: str) -> str:
        wanted = self._lifecycle.wishes.wanted(model)
        if wanted is None:
            raise _unknown(model)
        if version is not None and version != str(wanted):
            raise ModelUnknownError(
                f"the rollout names {wanted} of model {model} for this device, not {version}",
                hint="Leave the version out, or have it rolled out to this device.",
            )
        self._check_permitted(model, wanted)
        digests = [
            item.digest for item in self._table.refused.values() if (item.model, item.version) == (model, wanted)
        ]
        if digests:
            await self._table.lift(model, digests, cause=by)
        self._window.open_for(model)
        self._lifecycle.rests.end("try", model, wanted)
        await self._note_opening(model, wanted, by)
        self._lifecycle.wake()
        return str(wanted)

    def _check_permitted(self, model: ModelName, wanted: Version) -> None:
        active = self._table[model].active_slot
        if active is not None and active.content is not None and active.content.version == wanted:
            raise NothingToDoError(f"version {wanted} of model {model} runs already")
        terms = self._lifecycle.wishes.terms(model, (wanted,))
        if terms.is_below_floor(wanted) or wanted in terms.stopped:
            why = f"is below {terms.floor}" if terms.is_below_floor(wanted) else "is stopped by its publisher"
            raise NotPermittedError(
                f"version {wanted} of model {model} must not be activated: it {why}",
                hint="Only the publisher can change that.",
            )

    async def _note_opening(self, model: ModelName, version: Version, by: str) -> None:
        entry = Entry(
            at=self._clock.unix_s(), what=Happening.WINDOW_OPENED, model=model, version=str(version), cause=by
        )
        await self._table.note(entry)
        journal.event(LOG, journal.WINDOW_OPENED, model=model, version=version, cause=by)


def _unknown(model: ModelName) -> ModelUnknownError:
    return ModelUnknownError(f"no model {model} is on this device", hint="edgectl status lists those that are.")
