"""Has the version answer that a model's active slot names, and turns it down when it must not answer any more.

What is turned down is followed by the fallback, which is proven. While that is still loaded from before (``Serving.put_back``) nothing has
to be loaded: one transaction, and it answers. Else it is loaded from the store. If it is damaged there, it is turned down as well, until
something can be served or nothing is left.

What may be the device's passing trouble (no memory, no process, a disk that is not there) leaves a slot as it is, to be tried again later,
for ``MOST_TRIES`` times.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from edged.bundle.read import read_bundle
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.blame import is_damage
from edged.daemon.lifecycle.rests import Rests
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.errors import StoreError, TrustError
from edged.ids import Digest, ModelName, SlotName
from edged.store.layout import StoreLayout
from edged.store.slots import Slot, SlotEvent

LOG = logging.getLogger(__name__)

MOST_TRIES: Final = 5
"""Of what may be the device's passing trouble, before it is taken for the model's."""


class Answering:
    """Keeps ``Serving`` and the active slots the same.

    Args:
        layout: The bundle store; only read.
        table: The slots.
        serving: Told what to serve.
        orders: Asked for floors.
        rests: Of what is tried again.
        has_passed: Tells of a version, by its digest, and a variant whether that passed its validation kit on this device.
        beat: Called at every sign of progress.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        table: SlotTable,
        serving: Serving,
        orders: Orders,
        rests: Rests,
        has_passed: Callable[[Digest, str], bool],
        beat: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._table = table
        self._serving = serving
        self._orders = orders
        self._rests = rests
        self._has_passed = has_passed
        self._beat = beat
        self._turns: defaultdict[ModelName, asyncio.Lock] = defaultdict(asyncio.Lock)

    def turn(self, model: ModelName) -> asyncio.Lock:
        """Return what has to be held to change which version of a model answers: decide, move and serve without another in between."""
        return self._turns[model]

    async def serve_active(self, model: ModelName) -> None:
        """Serve what the active slot names, unless it rests after trouble.

        Raises:
            StoreError: A damaged version cannot be turned down because the disk refused.
        """
        async with self.turn(model):
            active = self._table[model].active
            if active is None or model in self._serving.served or self._rests.is_resting("serve", model, active):
                return
            await self.follow_slots(model)

    async def turn_down(
        self,
        model: ModelName,
        suspect: Slot,
        *,
        cause: str,
        reason: str,
        refuse: bool = True,
        in_any_state: bool = False,
    ) -> bool:
        """Turn the active version down, and have the one before it answer; tells whether there was still something to turn down.

        Args:
            model: The model.
            suspect: Its active slot, as the caller knows it.
            cause: For the history.
            reason: Why.
            refuse: Whether this device will not try the version again by itself.
            in_any_state: Turn it down also if its trial has ended meanwhile: it is the version that is meant, not what it was.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        is_meant = _is_the_same_version if in_any_state else _is_as_it_was
        async with self.turn(model):
            name = self._table[model].active
            if name is None or not is_meant(self._table[model][name], suspect):
                return False
            await self._move_down(model, name, cause=cause, reason=reason, refuse=refuse)
            await self.follow_slots(model)
            return True

    async def follow_slots(self, model: ModelName) -> None:
        """Have what a model's active slot names answer in place of whatever does; the caller holds the model's turn.

        Raises:
            StoreError: What cannot be served cannot be turned down because the disk refused.
        """
        while (name := self._table[model].active) is not None:
            if self.stands_by(model, self._table[model][name]) and self._serving.put_back(model):
                return
            try:
                served = await self.load_slot(model, name)
            except Exception as exc:  # noqa: BLE001 - whatever a version does, the daemon and the other models go on
                LOG.warning("Slot %s of %s cannot be served: %s", name, model, exc)
                if not is_damage(exc) and self._rests.begin("serve", model, name) < MOST_TRIES:
                    # What answered until now is not what the slot names: it failed its trial.
                    self._serving.remove(model)
                    self._serving.announce(model)
                    return
                await self._move_down(model, name, cause="load", reason=str(exc), refuse=False)
                continue
            self._rests.end("serve", model, name)
            self._serving.put(served)
            return
        self._serving.remove(model)

    def may_fall_back(self, model: ModelName) -> bool:
        """Tell whether a model has a fallback that may be activated: never one below the floor."""
        slots, floor = self._table[model], self._orders.floor(model)
        content = None if slots.fallback is None else slots[slots.fallback].content
        return content is not None and (floor is None or content.version >= floor)

    def stands_by(self, model: ModelName, slot: Slot) -> bool:
        """Tell whether the version in a slot is loaded and could answer at once."""
        standby = self._serving.standbys.get(model)
        return (
            standby is not None
            and slot.content is not None
            and standby.worker is not None
            and standby.loadable.bundle.digest == slot.content.digest
        )

    async def load_slot(self, model: ModelName, name: SlotName) -> Served:
        """Load what is in a slot: in the variant that answered last, else in another that has passed its kit here.

        Raises:
            TrustError: The store does not hold it any more, or not whole.
            OSError: The store cannot be read.
            EdgedError: As ``StartWorker``.
        """
        self._beat()
        *first, last = self._read_slot(model, name)
        for loadable in first:
            try:
                return await self._serving.load(loadable)
            except Exception as exc:  # noqa: BLE001 - another variant may do
                LOG.warning("Variant %s of %s cannot be loaded: %s", loadable.variant.id, model, exc)
        return await self._serving.load(last)

    async def _move_down(self, model: ModelName, name: SlotName, *, cause: str, reason: str, refuse: bool) -> None:
        move = Move(
            slot=name,
            what=SlotEvent.HEALTH_FAILED,
            cause=cause,
            reason=reason,
            refuse=refuse,
            may_fall_back=self.may_fall_back(model),
        )
        await self._table.move(model, move)

    def _read_slot(self, model: ModelName, name: SlotName) -> list[Loadable]:
        """Return what a slot's version may answer with: the variant that it names, if that is here, and others that are proven."""
        content = self._table[model][name].content
        try:
            bundle = None if content is None else read_bundle(self._layout.bundle(model, content.version))
        except (StoreError, FileNotFoundError) as exc:
            if not self._layout.bundles.is_dir():
                raise OSError(f"there is no store at {self._layout.root}") from exc
            raise TrustError(f"the bundle in slot {name} of {model} is damaged: {exc}") from exc
        if content is None or bundle is None or bundle.digest != content.digest:
            raise TrustError(f"the store no longer holds what slot {name} of {model} was activated with")
        named = [variant for variant in bundle.variants if variant.id == content.variant]
        proven = [v for v in bundle.variants if v not in named and self._has_passed(bundle.digest, v.id)]
        if not named and not proven:
            raise TrustError(f"the bundle in slot {name} of {model} has lost its variant {content.variant}")
        return [Loadable(bundle=bundle, variant=variant) for variant in (*named, *proven)]


def _is_the_same_version(slot: Slot, before: Slot) -> bool:
    """Tell whether a slot has the same version, whichever variant of it answers."""
    digests = [None if one.content is None else one.content.digest for one in (slot, before)]
    return digests[0] == digests[1]


def _is_as_it_was(slot: Slot, before: Slot) -> bool:
    """Tell whether a slot was not moved either."""
    same = (slot.state, slot.changed_unix_s) == (before.state, before.changed_unix_s)
    return same and _is_the_same_version(slot, before)
