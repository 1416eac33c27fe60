"""The versions of a model that were here before the one that should answer, as far as they may still be asked."""

import logging
from collections.abc import Iterator
from typing import Final

from edged.bundle.read import InstalledBundle, read_bundle
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.errors import EdgedError
from edged.ids import ModelName, Version
from edged.select.machine import Machine
from edged.select.matcher import choose_variant
from edged.store.history import Happening
from edged.store.layout import StoreLayout
from edged.store.slots import Content, SlotEvent, SlotState

LOG = logging.getLogger(__name__)

HISTORY_READ: Final = 1000
"""Entries of a model in which its last good versions are looked for."""


class Predecessors:
    """Finds them in slots, history and store.

    Args:
        layout: The bundle store; only read.
        table: Slots and history.
        fleet: What may answer.
        machine: What their variants have to fit.
    """

    def __init__(self, *, layout: StoreLayout, table: SlotTable, fleet: Fleet, machine: Machine) -> None:
        self._layout = layout
        self._table = table
        self._fleet = fleet
        self._machine = machine

    def last(self, model: ModelName) -> tuple[InstalledBundle, str] | None:
        """Return the active version with its variant; with none active, the one that was turned down last. None: neither is here."""
        slots = self._table[model]
        if slots.active_slot is not None:
            return self._read_content(model, slots.active_slot.content)
        bad = [slot for slot in (slots.a, slots.b) if slot.state is SlotState.BAD]
        newest = max(bad, key=lambda slot: slot.changed_unix_s, default=None)
        return None if newest is None else self._read_content(model, newest.content)

    def before(self, model: ModelName, version: Version) -> Iterator[tuple[InstalledBundle, str]]:
        """Give the versions that were good before one, with their variants: that of the fallback slot, then the last of the history.

        Only those that are whole in the store, were not turned down here, are not stopped, and are not below the floor.
        """
        slots = self._table[model]
        proven = None if slots.fallback is None else slots[slots.fallback].content
        if proven is not None and proven.version != version and self._may_answer(model, proven.version):
            found = self._read_content(model, proven)
            if found is not None:
                yield found
        for other in self._last_good(model):
            is_known = proven is not None and other == proven.version
            if other != version and not is_known and self._may_answer(model, other):
                bundle = self._read(model, other)
                if bundle is not None and (variant := self._variant(bundle)):
                    yield bundle, variant

    def _may_answer(self, model: ModelName, version: Version) -> bool:
        floor = self._fleet.floor(model)
        is_refused = any(item.model == model and item.version == version for item in self._table.refused.values())
        is_stopped = self._fleet.stopped_by_document(model, version) is not None
        return not is_refused and not is_stopped and (floor is None or version >= floor)

    def _last_good(self, model: ModelName) -> list[Version]:
        entries = self._table.history(model=model, limit=HISTORY_READ)
        good = [
            Version.parse(entry.version)
            for entry in entries
            if entry.what is Happening.SLOT_MOVED and entry.reason.partition(":")[0] == SlotEvent.HEALTH_PASSED
        ]
        return list(dict.fromkeys(good))

    def _variant(self, bundle: InstalledBundle) -> str:
        try:
            return choose_variant(bundle.manifest, self._machine, present=bundle.variants).variant.id
        except EdgedError:
            return ""

    def _read_content(self, model: ModelName, content: Content | None) -> tuple[InstalledBundle, str] | None:
        bundle = None if content is None else self._read(model, content.version)
        if content is None or bundle is None or bundle.digest != content.digest:
            return None
        return (bundle, content.variant) if any(v.id == content.variant for v in bundle.variants) else None

    def _read(self, model: ModelName, version: Version) -> InstalledBundle | None:
        try:
            return read_bundle(self._layout.bundle(model, version))
        except FileNotFoundError:
            return None
        except (EdgedError, OSError) as exc:
            LOG.warning("Version %s of %s cannot answer in its place: %s", version, model, exc)
            return None
