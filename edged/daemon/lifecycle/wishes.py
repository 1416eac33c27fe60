"""What should run of a model on this device, and what of that may: asked anew each time, because documents change at any time."""

from collections.abc import Sequence

from edged.activation.candidate import Step, Terms, next_step
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.ids import ModelName, Version


class Wishes:
    """Holds the fleet's orders against the slots.

    Args:
        table: The slots, and what was turned down.
        orders: What the fleet's documents mean here.
    """

    def __init__(self, table: SlotTable, orders: Orders) -> None:
        self._table = table
        self._orders = orders

    def cause_for(self, model: ModelName) -> str:
        """Return what names the version of a model that should run, for the history."""
        return self._orders.cause_for(model)

    def wanted(self, model: ModelName) -> Version | None:
        """Return the version that the rollout names for this device."""
        slot = self._table[model].active_slot
        active = None if slot is None or slot.content is None else slot.content.version
        decision = self._orders.decision(model, active=active)
        return None if decision is None else decision.run

    def terms(self, model: ModelName, versions: Sequence[Version]) -> Terms:
        """Return what may run of a model, as far as some versions are concerned."""
        return Terms(
            refused={refused.version for refused in self._table.refused.values() if refused.model == model},
            floor=self._orders.floor(model),
            stopped={version for version in versions if self._orders.stopped(model, version) is not None},
        )

    def next_step(self, model: ModelName) -> Step:
        """Decide what to do about the version that the rollout names."""
        wanted = self.wanted(model)
        terms = self.terms(model, () if wanted is None else (wanted,))
        return next_step(wanted, slots=self._table[model], terms=terms)

    def is_wanted(self, model: ModelName, version: Version) -> bool:
        """Tell whether a candidate may go on: what the rollout and the publisher say may have changed since it began."""
        return self.wanted(model) == version and self.next_step(model).action == "try"
