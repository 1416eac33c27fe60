"""Finds the version that a rollout names in the store, with the variant that this device runs, and writes it to the spare slot."""

import asyncio
import logging
from collections.abc import Callable

from edged.bundle.read import keep_bundle, read_bundle, verify_files
from edged.daemon.lifecycle.rests import RETRY_AFTER_S, Rests
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.wishes import Wishes
from edged.daemon.serving.keeper import Loadable
from edged.errors import EdgedError, IncompatibleError
from edged.ids import ModelName, Version
from edged.select.machine import Machine
from edged.select.matcher import choose_variant
from edged.store.layout import StoreLayout
from edged.store.slots import Content, SlotEvent, SlotState

LOG = logging.getLogger(__name__)


class Arrivals:
    """What the updater has brought.

    Args:
        layout: The bundle store; only read.
        table: The slots.
        wishes: Who is behind it.
        machine: What variants are matched against.
        rests: Of what is tried again.
        beat: Called at every sign of progress.
    """

    def __init__(
        self,
        *,
        layout: StoreLayout,
        table: SlotTable,
        wishes: Wishes,
        machine: Machine,
        rests: Rests,
        beat: Callable[[], None],
    ) -> None:
        self._layout = layout
        self._table = table
        self._wishes = wishes
        self._machine = machine
        self._rests = rests
        self._beat = beat

    async def find(self, model: ModelName, version: Version) -> Loadable | None:
        """Look for a version in the store, and for the variant of it that this device runs; one without any is turned down.

        Raises:
            StoreError: The disk refused.
        """
        if self._rests.is_resting("try", model, version):
            return None
        try:
            bundle = read_bundle(self._layout.bundle(model, version))
        except FileNotFoundError:
            return None  # the updater has not finished with it
        except (EdgedError, OSError) as exc:
            self.set_aside(model, version, exc)
            return None
        try:
            variant = choose_variant(bundle.manifest, self._machine, present=bundle.variants).variant
        except IncompatibleError as exc:
            content = Content(version=version, digest=bundle.digest, variant="")
            await self._table.refuse(model, content, cause=self._wishes.cause_for(model), reason=exc.message)
            return None
        return Loadable(bundle=bundle, variant=variant)

    def is_written(self, loadable: Loadable) -> bool:
        """Tell whether the spare slot holds a candidate, complete and at rest."""
        slots = self._table[loadable.bundle.manifest.model]
        slot = slots[slots.spare]
        return slot.content == _content(loadable) and slot.state is SlotState.READY

    async def write(self, loadable: Loadable, *, turn: asyncio.Lock) -> None:
        """Write a candidate to the spare slot.

        Args:
            loadable: The candidate.
            turn: Held while its files are read.

        Raises:
            TrustError: A file is not what was signed.
            OSError: A file cannot be read.
            StoreError: The disk refused a move.
        """
        bundle, model = loadable.bundle, loadable.bundle.manifest.model
        slot, cause = self._table[model].spare, self._wishes.cause_for(model)
        await self._table.move(
            model, Move(slot=slot, what=SlotEvent.WRITE_BEGAN, cause=cause, content=_content(loadable))
        )
        async with turn:
            # Before it is relied on: the updater may have been ended, or cut off, right before it did so.
            await asyncio.to_thread(keep_bundle, bundle, top=self._layout.root)
            files = bundle.manifest.files_for([loadable.variant])
            await asyncio.to_thread(verify_files, bundle, files, progress=self._beat)
        await self._table.move(
            model, Move(slot=slot, what=SlotEvent.WRITE_VERIFIED, cause=self._wishes.cause_for(model))
        )

    def set_aside(self, model: ModelName, version: Version, why: Exception) -> None:
        """Take note of what may be the device's passing trouble: the version is tried again after a while."""
        LOG.warning("Candidate %s %s set aside for %g s: %s", model, version, RETRY_AFTER_S, why)
        self._rests.begin("try", model, version)


def _content(loadable: Loadable) -> Content:
    bundle = loadable.bundle
    return Content(version=bundle.manifest.semver, digest=bundle.digest, variant=loadable.variant.id)
