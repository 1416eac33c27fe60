"""Has a version take over from the one that answers: the slot's move and the new answerer together, in the turn of its model.

The version before stands by, still loaded, if after that at least one part in ``STANDBY_SHARE`` of the device's memory is available; else
it is loaded again from the disk should it be needed.
"""

import logging
from collections.abc import Callable
from typing import Final

from edged import journal
from edged.daemon.lifecycle.answering import Answering
from edged.daemon.lifecycle.rests import Rests
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.ids import ModelName
from edged.select.machine import Machine
from edged.store.slots import SlotEvent, SlotState

LOG = logging.getLogger(__name__)

STANDBY_SHARE: Final = 10


class Handover:
    """Activates versions.

    Args:
        table: The slots.
        serving: Told what to serve.
        answering: Holds the turns of models, and loads what is in slots.
        machine: Whose memory it is.
        available_bytes: Returns the memory that is available now.
        rests: Of what is tried again.
    """

    def __init__(
        self,
        *,
        table: SlotTable,
        serving: Serving,
        answering: Answering,
        machine: Machine,
        available_bytes: Callable[[], int],
        rests: Rests,
    ) -> None:
        self._table = table
        self._serving = serving
        self._answering = answering
        self._machine = machine
        self._available_bytes = available_bytes
        self._rests = rests

    def is_roomy(self, *, more_bytes: int = 0) -> bool:
        """Tell whether there is memory to have two versions of a model loaded; ``more_bytes`` are those of one that is not, yet."""
        return (self._available_bytes() - more_bytes) * STANDBY_SHARE >= self._machine.memory_bytes

    async def activate(self, model: ModelName, move: Move, served: Served) -> None:
        """Have a loaded version take over; the caller holds the model's turn.

        Args:
            model: The model.
            move: Of its slot.
            served: What is in that slot; closed if it cannot be moved.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        try:
            await self._table.move(model, move)
        except BaseException:
            await served.close()
            raise
        slots = self._table[model]
        is_trial = slots[move.slot].state is SlotState.TRIAL
        self._serving.put(served, keeps_before=is_trial and self.is_roomy() and slots.fallback is not None)
        manifest, variant = served.loadable.bundle.manifest, served.loadable.variant
        journal.event(
            LOG, journal.MODEL_ACTIVATED, model=model, version=manifest.version, slot=move.slot, variant=variant.id,
            cause=move.cause,
        )  # fmt: skip

    async def go_back(self, model: ModelName, *, cause: str) -> bool:
        """Activate the version in the fallback slot; tells whether it answers now.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        async with self._answering.turn(model):
            name = self._table[model].fallback
            if name is None or self._rests.is_resting("try", model, name):
                return False
            move = Move(slot=name, what=SlotEvent.ACTIVATED, cause=cause)
            if self._answering.stands_by(model, self._table[model][name]):
                await self._table.move(model, move)
                # It may have lost its worker meanwhile. The slots name it now, so it is loaded like anything that they name.
                await self._answering.follow_slots(model)
                return self._table[model].active == name and model in self._serving.served
            try:
                served = await self._answering.load_slot(model, name)
            except Exception as exc:  # noqa: BLE001 - whatever a version does, the daemon and the other models go on
                LOG.warning("Fallback slot %s of %s cannot be served: %s", name, model, exc)
                self._rests.begin("try", model, name)
                return False
            await self.activate(model, move, served)
            return True
