"""The slots of every model in memory and on the disk, moved together, with the journal told."""

import asyncio
import logging
from collections.abc import Mapping

from edged import journal
from edged.bundle.manifest import Manifest
from edged.clock import Clock
from edged.ids import Digest, ModelName, SlotName
from edged.store.slots import Content, SlotEvent, Slots
from edged.store.state import Refused, StateDb

LOG = logging.getLogger(__name__)


class SlotTable:
    """What is in the slots, and what this device turned down. One writer: the lifecycle.

    Args:
        state: Where it is kept; from here on only this object uses it.
        clock: Wall clock of the records.
    """

    def __init__(self, state: StateDb, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._slots = state.read_slots()
        self._refused = dict(state.read_refusals())

    def __getitem__(self, model: ModelName) -> Slots:
        return self._slots.get(model, Slots())

    @property
    def models(self) -> Mapping[ModelName, Slots]:
        """The slots of every model that ever had one."""
        return self._slots

    @property
    def refused(self) -> Mapping[Digest, Refused]:
        """What this device turned down, by manifest digest."""
        return self._refused

    async def move(
        self,
        model: ModelName,
        name: SlotName,
        what: SlotEvent,
        *,
        content: Content | None = None,
        cause: str = "rollout",
        reason: str = "",
        refused: tuple[Digest, Manifest] | None = None,
    ) -> None:
        """Move one slot; durable when this returns.

        Args:
            model: The model.
            name: The slot.
            what: The event; see ``edged.store.slots``.
            content: The candidate, with WRITE_BEGAN only.
            cause: The document or person behind it, for the audit trail.
            reason: Why, for moves that end badly.
            refused: The candidate that this device will not try again by itself.

        Raises:
            MoveRefusedError: The table has no such move.
            StoreError: The disk refused; nothing changed.
        """
        now_s = self._clock.unix_s()
        slots = self[model].advance(name, what, now_unix_s=now_s, content=content, reason=reason)
        refusal = None if refused is None else _refusal(*refused, reason=reason, at_unix_s=now_s)
        words = f"slot {name}: {what}" + (f": {reason}" if reason else "")
        # In a thread: a commit waits for the disk.
        await asyncio.to_thread(
            self._state.write_slots, model, slots, what=words, cause=cause, at_unix_s=now_s, refused=refusal
        )
        self._slots[model] = slots
        if refusal is not None:
            self._remember(refusal)

    async def refuse(self, digest: Digest, manifest: Manifest, *, reason: str) -> None:
        """Turn down a bundle that never got into a slot.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        refusal = _refusal(digest, manifest, reason=reason, at_unix_s=self._clock.unix_s())
        await asyncio.to_thread(self._state.write_refusal, refusal)
        self._remember(refusal)

    def _remember(self, refusal: Refused) -> None:
        self._refused[refusal.digest] = refusal
        journal.event(
            LOG, journal.MODEL_REFUSED, model=refusal.model, version=refusal.version, reason=refusal.reason,
            digest=refusal.digest,
        )  # fmt: skip


def _refusal(digest: Digest, manifest: Manifest, *, reason: str, at_unix_s: float) -> Refused:
    return Refused(model=manifest.model, version=manifest.semver, digest=digest, reason=reason, at_unix_s=at_unix_s)
