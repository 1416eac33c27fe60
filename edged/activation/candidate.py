"""Whether the version that a rollout names should be tried. Pure."""

from collections.abc import Container

from edged.ids import Version
from edged.store.slots import Slots, SlotState


def is_worth_trying(wanted: Version, *, slots: Slots, refused: Container[Version]) -> bool:
    """Decide whether to put a version into the spare slot.

    A version never changes its content, on the host or in the store, so the version alone is enough to decide by.

    Rules, in order:
    1. A version this device refused is not tried again by itself.
    2. While a trial runs, nothing new starts: its verdict comes first.
    3. What is active already needs no trying.

    Args:
        wanted: The version that the signed rollout names.
        slots: The model's slots.
        refused: Versions of this model turned down on this device.
    """
    if wanted in refused:
        return False
    active = slots.active_slot
    if active is None or active.content is None:
        return True
    return active.state is not SlotState.TRIAL and active.content.version != wanted
