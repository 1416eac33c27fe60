"""The quiet window of this device: when a candidate may be validated and activated, and what it waits for.

Sensors are looked at in a thread, every ``LOOK_EVERY_S``, and only while there is a candidate that has to wait for what they say. One that
comes before the first look waits for that, which takes moments.

How long candidates have waited is kept in ``waits.json`` of the state directory (``edged.activation.waits``). It is written when an
operator opens the window or what was written is over, else every ``SAVE_EVERY_S`` and at the end: a daemon that is killed forgets no more
than that of a wait.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final, NoReturn

import msgspec

from edged.activation.waits import MAX_WAITS_BYTES, WaitNotes, Waits
from edged.activation.window import WindowRules, reasons_to_wait
from edged.clock import Clock
from edged.codec import decode_json
from edged.daemon.lifecycle.surroundings import NOT_READ, Senses
from edged.errors import EdgedError
from edged.files import read_limited, replace_durably
from edged.ids import ModelName, Version

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 3.0
STALE_AFTER_S: Final = 10.0
"""What the sensors said longer ago than this counts for nothing."""
SAVE_EVERY_S: Final = 600.0


class Window:
    """Fulfils ``edged.daemon.lifecycle.advice.QuietWindow``.

    Args:
        rules: Returns those in force: the administrator's and the fleet's.
        senses: The sensors and the clock.
        idle_s: Returns how long no app has asked any model.
        clock: Measures waits.
        notes: The file that waits are kept in.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], tuple[WindowRules, ...]],
        senses: Senses,
        idle_s: Callable[[], float],
        clock: Clock,
        notes: Path,
    ) -> None:
        self._rules = rules
        self._senses = senses
        self._idle_s = idle_s
        self._clock = clock
        self._notes = notes
        self._surroundings = NOT_READ
        self._looked_at_s = -STALE_AFTER_S
        self._asked = asyncio.Event()
        self._waits = Waits.of_notes(_read(notes), now_s=clock.monotonic_s())
        self._is_noted = bool(self._waits)
        """Something is in the file, or was."""
        self._save_at_s = clock.monotonic_s() + SAVE_EVERY_S
        self._writing = Lock()
        """At the end, a thread may still be at it."""

    def reasons_to_wait(self, model: ModelName, version: Version) -> Sequence[str]:
        """Return what a candidate waits for; see ``QuietWindow``."""
        now_s = self._clock.monotonic_s()
        self._waits.ask(model, version, now_s=now_s)
        rules = self._rules()
        surroundings = self._surroundings if now_s - self._looked_at_s < STALE_AFTER_S else NOT_READ
        reasons = reasons_to_wait(
            rules,
            surroundings.conditions(idle_s=self._idle_s()),
            waited_s=self._waits.waited_s(model, now_s=now_s, unix_s=surroundings.unix_s.value),
            is_overridden=self._waits.is_opened(model),
        )
        if reasons or _asks_sensors(rules):
            self._asked.set()
        return reasons

    def open_for(self, model: ModelName) -> None:
        """Let a model's candidate go on whatever the conditions are; see ``QuietWindow``."""
        self._waits.open(model, now_s=self._clock.monotonic_s())
        self._save_soon()

    def forget(self, model: ModelName) -> None:
        """Take note that a model's candidate waits no more; see ``QuietWindow``."""
        self._waits.forget(model)
        if self._is_noted:
            self._save_soon()

    async def run(self) -> NoReturn:
        """Look at the sensors while a candidate waits, and keep the notes, until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                await self.step()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._save(self._take_notes())

    async def step(self) -> None:
        """Look once, and save what is due."""
        self._surroundings = await asyncio.to_thread(self._senses.look)
        now_s = self._looked_at_s = self._clock.monotonic_s()
        if (unix_s := self._surroundings.unix_s.value) is not None:
            self._waits.date(now_s=now_s, unix_s=unix_s)
        if now_s >= self._save_at_s:
            # Before the notes are taken: what is asked for while they are written is due again.
            self._save_at_s = now_s + SAVE_EVERY_S
            await asyncio.to_thread(self._save, self._take_notes())
        if self._waits and _asks_sensors(self._rules()):
            # A validation may take long, and asks once more when it is over.
            self._asked.set()

    def _save_soon(self) -> None:
        self._save_at_s = self._clock.monotonic_s()
        self._asked.set()

    def _take_notes(self) -> WaitNotes | None:
        """Return what is to be written, if there is anything to say or to take back."""
        if not self._waits and not self._is_noted:
            return None
        self._is_noted = True
        return self._waits.notes(now_s=self._clock.monotonic_s())

    def _save(self, notes: WaitNotes | None) -> None:
        if notes is None:
            return
        try:
            with self._writing:
                replace_durably(self._notes, msgspec.json.encode(notes), mode=0o600)
        except OSError as exc:
            LOG.warning("How long candidates wait is not kept over a restart: %s", exc)


def _asks_sensors(rules: tuple[WindowRules, ...]) -> bool:
    return any(part.asks_sensors for part in rules)


def _read(path: Path) -> WaitNotes:
    try:
        return decode_json(WaitNotes, read_limited(path, max_bytes=MAX_WAITS_BYTES), source=str(path))
    except FileNotFoundError:
        return WaitNotes()
    except (EdgedError, OSError) as exc:
        LOG.warning("Waits for the quiet window begin anew: %s", exc)
        return WaitNotes()
