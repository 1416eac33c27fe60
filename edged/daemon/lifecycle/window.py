"""The quiet window of this device: when a candidate may be validated and activated, and what it waits for.

What the sensors and the clock say is what the device's context says of them (``edged.daemon.senses``), as for all other decisions.

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
from edged.activation.window import Conditions, WindowRules, reasons_to_wait
from edged.clock import Clock
from edged.codec import decode_json
from edged.daemon.decisions.seams import Contexts
from edged.errors import EdgedError
from edged.files import read_limited, replace_durably
from edged.ids import ModelName, Version
from edged.sense.context import Context, PowerSource

LOG = logging.getLogger(__name__)

STEP_EVERY_S: Final = 3.0
"""How often the notes are looked after while a candidate waits."""
SAVE_EVERY_S: Final = 600.0


class Window:
    """Fulfils ``edged.daemon.lifecycle.advice.QuietWindow``.

    Args:
        rules: Returns those in force: the administrator's and the fleet's.
        contexts: What the sensors and the clock say.
        idle_s: Returns how long no app has asked any model, and nobody was seen at the device.
        clock: Measures waits.
        notes: The file that waits are kept in.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], tuple[WindowRules, ...]],
        contexts: Contexts,
        idle_s: Callable[[], float],
        clock: Clock,
        notes: Path,
    ) -> None:
        self._rules = rules
        self._contexts = contexts
        self._idle_s = idle_s
        self._clock = clock
        self._notes = notes
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
        reasons = reasons_to_wait(
            self._rules(),
            conditions_of(self._contexts.current, idle_s=self._idle_s()),
            waited_s=self._waits.waited_s(model, now_s=now_s, unix_s=self._believed_unix_s()),
            is_overridden=self._waits.is_opened(model),
        )
        if reasons:
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
        """Keep the notes while a candidate waits, until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                await self.step()
                await asyncio.sleep(STEP_EVERY_S)
        finally:
            self._save(self._take_notes())

    async def step(self) -> None:
        """Date the waits, and save what is due."""
        now_s = self._clock.monotonic_s()
        if (unix_s := self._believed_unix_s()) is not None:
            self._waits.date(now_s=now_s, unix_s=unix_s)
        if now_s >= self._save_at_s:
            # Before the notes are taken: what is asked for while they are written is due again.
            self._save_at_s = now_s + SAVE_EVERY_S
            await asyncio.to_thread(self._save, self._take_notes())

    def _believed_unix_s(self) -> float | None:
        return self._clock.unix_s() if self._contexts.current.clock_trusted.value else None

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


def conditions_of(context: Context, *, idle_s: float) -> Conditions:
    """Say what a device knows of itself in the terms of the window's rules.

    Args:
        context: Of now.
        idle_s: How long no app has asked any model, and nobody was seen at the device; newer than what the context says of it.
    """
    minute, power, hottest = context.minute_of_day, context.power, context.hottest_celsius
    reasons = {"minute_of_day": minute.reason, "is_plugged_in": power.reason, "hottest_c": hottest.reason}
    return Conditions(
        minute_of_day=minute.value,
        idle_s=idle_s,
        is_plugged_in=None if power.value is None else power.value is PowerSource.MAINS,
        hottest_c=hottest.value,
        unknown=tuple((name, reason) for name, reason in reasons.items() if reason),
    )


def _read(path: Path) -> WaitNotes:
    try:
        return decode_json(WaitNotes, read_limited(path, max_bytes=MAX_WAITS_BYTES), source=str(path))
    except FileNotFoundError:
        return WaitNotes()
    except (EdgedError, OSError) as exc:
        LOG.warning("Waits for the quiet window begin anew: %s", exc)
        return WaitNotes()
