"""The overrides in force on this device: kept over restarts, ended in time, and each with an entry in the history at its begin and end.

They are in ``overrides.json`` of the state directory, which is written before one takes effect: what an operator was told is so after a
power cut, too. While there is one, the file is written again about each minute, with how much of its time counts as used
(``edged.policy.override``). While the disk refuses that, or refuses to let go of one that has ended, it is tried again each minute;
they go on and end all the same, but a reboot finds what was written last. A file that is damaged or cannot be read is as good
as none, because an override is never what a device depends on.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from edged import journal
from edged.codec import decode_json, encode_canonical
from edged.daemon.fleet.diary import Diary
from edged.errors import EdgedError, NothingToDoError, StoreError
from edged.files import read_limited, replace_durably
from edged.policy.document import Then
from edged.policy.override import LOOK_EVERY_S, Override, OverridesFile, carried_over, counted_ahead, left_s, then_text
from edged.store.history import Happening

LOG = logging.getLogger(__name__)

FILE_NAME: Final = "overrides.json"
MAX_BYTES: Final = 1 << 20
EXPIRED: Final = "the clock"


class Overrides:
    """Holds them. Made and used on one event loop; look at them once before they decide about anything.

    Args:
        directory: The state directory.
        diary: Told of every begin and end.
        unix_s: The wall clock, as far as it can be trusted.
        boot_s: Seconds since the machine was started.
        boot_id: Of that start.
    """

    def __init__(
        self,
        *,
        directory: Path,
        diary: Diary,
        unix_s: Callable[[], float],
        boot_s: Callable[[], float],
        boot_id: str,
    ) -> None:
        self._path = directory / FILE_NAME
        self._diary = diary
        self._unix_s = unix_s
        self._boot_s = boot_s
        self._boot_id = boot_id
        self._changing = asyncio.Lock()
        self._news = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._kept: tuple[Override, ...] = tuple(
            carried_over(override, unix_s=unix_s(), boot_id=boot_id, boot_s=boot_s()) for override in _read(self._path)
        )
        self._is_out_of_date = False
        """The file says something else than is kept, because the disk refused."""

    @property
    def current(self) -> Sequence[Override]:
        """Those in force, by model."""
        return [override for override in self._kept if not self._is_over(override)]

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when others are in force, on the event loop."""
        self._listeners.append(told)

    async def run(self) -> NoReturn:
        """End each one in time, and keep count of it, until cancelled."""
        while True:
            await self.look()
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._news.wait()

    async def look(self) -> None:
        """End what is over, and write down how much of the others counts as used."""
        async with self._changing:
            late = [override for override in self._kept if self._is_over(override)]
            for override in late:
                self._note_end(override, cause=EXPIRED, reason=f"after {override.for_s:g} s")
            if late:
                self._take([override for override in self._kept if override not in late])
            counted = tuple(counted_ahead(override, boot_s=self._boot_s()) for override in self._kept)
            if not (late or self._is_out_of_date) and counted == self._kept:
                return
            try:
                await self._save(counted)
            except StoreError as exc:
                if not self._is_out_of_date:
                    LOG.warning("What is written down of overrides is out of date: %s", exc)
                self._is_out_of_date = True
            else:
                self._kept = counted

    async def begin(self, model: str, then: Then, *, for_s: float, reason: str, by: str) -> Override:
        """Put an override in force, in place of the one that the model has.

        Raises:
            StoreError: The disk refused; nothing has changed.
        """
        boot_s = self._boot_s()
        override = Override(
            model=model,
            then=then,
            by=by,
            reason=reason,
            began_unix_s=self._unix_s(),
            for_s=for_s,
            boot_id=self._boot_id,
            until_boot_s=boot_s + for_s,
        )
        override = counted_ahead(override, boot_s=boot_s)
        async with self._changing:
            replaced = [other for other in self._kept if other.model == model]
            others = [other for other in self._kept if other.model != model]
            await self._save([*others, override])
            for other in replaced:
                self._note_end(other, cause=by, reason="another override took its place")
            asked = then_text(then)
            self._diary.note(Happening.POLICY_OVERRIDDEN, model=model, cause=by, reason=f"{asked}: {reason}")
            journal.event(
                LOG, journal.POLICY_OVERRIDDEN, model=model, cause=by, asked=asked, seconds=round(for_s), reason=reason
            )
            self._take([*others, override])
        return override

    async def clear(self, model: str | None, *, by: str) -> Sequence[Override]:
        """End the override of a model, or all of them, and return what was ended.

        Raises:
            NothingToDoError: There is none.
            StoreError: The disk refused; nothing has changed.
        """
        async with self._changing:
            ended = [override for override in self._kept if model in {None, override.model}]
            if not ended:
                whose = "" if model is None else f" of model {model}"
                raise NothingToDoError(f"there is no override{whose}", hint="edgectl policy show lists them.")
            left = [override for override in self._kept if override not in ended]
            await self._save(left)
            for override in ended:
                self._note_end(override, cause=by, reason="cleared")
            self._take(left)
        return ended

    def _take(self, overrides: Sequence[Override]) -> None:
        self._kept = tuple(sorted(overrides, key=lambda override: override.model))
        self._news.set()
        for told in self._listeners:
            told()

    def _is_over(self, override: Override) -> bool:
        return left_s(override, unix_s=self._unix_s(), boot_s=self._boot_s()) <= 0

    def _pause_s(self) -> float | None:
        unix_s, boot_s = self._unix_s(), self._boot_s()
        left = [left_s(override, unix_s=unix_s, boot_s=boot_s) for override in self._kept]
        if self._is_out_of_date:
            left.append(LOOK_EVERY_S)
        return min(max(0.0, min(left)), LOOK_EVERY_S) if left else None

    def _note_end(self, override: Override, *, cause: str, reason: str) -> None:
        self._diary.note(Happening.POLICY_OVERRIDE_ENDED, model=override.model, cause=cause, reason=reason)
        journal.event(LOG, journal.POLICY_OVERRIDE_ENDED, model=override.model, cause=cause, reason=reason)

    async def _save(self, overrides: Sequence[Override]) -> None:
        data = encode_canonical(OverridesFile(overrides=tuple(overrides)))
        try:
            await asyncio.to_thread(replace_durably, self._path, data, mode=0o600)
        except OSError as exc:
            raise StoreError(
                f"{self._path} cannot be written: {exc.strerror}", hint="Check free space and health of the disk."
            ) from exc
        self._is_out_of_date = False


def _read(path: Path) -> Sequence[Override]:
    try:
        return decode_json(OverridesFile, read_limited(path, max_bytes=MAX_BYTES), source=str(path)).overrides
    except FileNotFoundError:
        return ()
    except (EdgedError, OSError) as exc:
        LOG.warning("Overrides of the policy are forgotten: %s", exc)
        return ()
