"""Which installed bundle a model should try next. Pure."""

from collections.abc import Container, Mapping
from typing import TypeVar

from edged.ids import Digest, Version
from edged.store.slots import Slots, SlotState

Bundle = TypeVar("Bundle")


def choose_candidate(
    *,
    wanted: Version | None,
    installed: Mapping[Version, tuple[Digest, Bundle]],
    slots: Slots,
    refused: Container[Digest],
) -> Bundle | None:
    """Choose the bundle to put into the spare slot, or None when there is nothing to do.

    Rules, in order:
    1. Only the version that the signed rollout names is ever tried; a model no rollout names stays as it is.
    2. It has to be installed: complete and verified in the store.
    3. A digest this device refused is not tried again by itself.
    4. What is active already needs no trying.
    5. While a trial runs, nothing new starts: its verdict comes first.

    Args:
        wanted: The version the rollout names, if it names one.
        installed: The bundles of this model in the store: manifest digest and bundle by version.
        slots: The model's slots.
        refused: Digests turned down on this device.
    """
    if wanted is None or wanted not in installed:
        return None
    digest, bundle = installed[wanted]
    if digest in refused:
        return None
    active = slots.active_slot
    if active is None:
        return bundle
    if active.state is SlotState.TRIAL:
        return None
    is_active = active.content is not None and active.content.digest == digest
    return None if is_active else bundle
