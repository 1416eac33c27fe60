"""A daemon that ends again and again over one version: that version is turned down before anything of it is loaded once more.

Rules:

(1) counted    a start counts against a version when the daemon before it ended without being told to, while that version was written to
               a slot, validated, in the shadow or on trial: a crash, a kill, a cut of the power
(2) limit      above ``max_daemon_starts`` the version is turned down, and not tried again by itself
(3) forgiven   a version in the shadow or on trial, once the daemon has run for ``STEADY_S``: a device that is switched off every night is
               in no loop
"""

import logging
from dataclasses import replace
from typing import Final

from edged.activation.trial import TrialRules
from edged.clock import Clock
from edged.daemon.lifecycle.slot_changes import Move
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.ids import ModelName, SlotName
from edged.store.slots import SlotEvent, SlotState

LOG = logging.getLogger(__name__)

STEADY_S: Final = 3600.0
_AT_WORK: Final = {
    SlotState.WRITING: SlotEvent.WRITE_FAILED,
    SlotState.VALIDATION: SlotEvent.VALIDATION_FAILED,
    SlotState.SHADOW: SlotEvent.SHADOW_FAILED,
    SlotState.TRIAL: SlotEvent.HEALTH_FAILED,
}
"""The states in which a version can be the reason why the daemon ends, and how each ends badly."""
_LONG: Final = {SlotState.SHADOW: "shadow run", SlotState.TRIAL: "trial"}
"""Those of them that last, and what they are called."""


class CrashLoop:
    """Counts starts, from the first thing that a daemon does with its slots.

    Args:
        table: The slots.
        clock: Monotonic.
    """

    def __init__(self, table: SlotTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._is_forgiven = False

    async def count(self, model: ModelName, rules: TrialRules) -> list[SlotName]:
        """Count this start against what was at work of a model; returns the slots whose version has had one too many.

        Raises:
            StoreError: The disk refused; nothing was counted.
        """
        trials = {name: trial for (owner, name), trial in self._table.trials.items() if owner == model}
        suspects = [
            name
            for name, trial in trials.items()
            if self._table[model][name].state in _AT_WORK and not trial.has_ended_cleanly
        ]
        counted = {
            (model, name): replace(
                trial, daemon_starts=trial.daemon_starts + (name in suspects), has_ended_cleanly=False
            )
            for name, trial in trials.items()
        }
        await self._table.write_trials(counted)
        return [name for name in suspects if counted[model, name].daemon_starts > rules.max_daemon_starts]

    async def turn_down(self, model: ModelName, name: SlotName, *, may_fall_back: bool) -> None:
        """Turn the version in a slot down that ``count`` found to be the reason of a loop.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        state, starts = self._table[model][name].state, self._table.trials[model, name].daemon_starts
        during = _LONG.get(state, "validation")
        reason = f"the daemon was started {starts} times during its {during} without having been told to stop"
        move = Move(
            slot=name, what=_AT_WORK[state], cause="boot", reason=reason, refuse=True, may_fall_back=may_fall_back
        )
        await self._table.move(model, move)

    async def forgive(self) -> None:
        """Count from nought again once the daemon has run for ``STEADY_S``.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        if self._is_forgiven or self._clock.monotonic_s() - self._began_s < STEADY_S:
            return
        counted = {
            place: replace(trial, daemon_starts=0)
            for place, trial in self._table.trials.items()
            if trial.daemon_starts and self._table[place[0]][place[1]].state in _LONG
        }
        if counted:
            await self._table.write_trials(counted)
        self._is_forgiven = True

    async def end_cleanly(self) -> None:
        """Note that the daemon was told to stop: its next start counts against nobody.

        Raises:
            StoreError: The disk refused; nothing changed.
        """
        await self._table.write_trials(
            {place: replace(trial, has_ended_cleanly=True) for place, trial in self._table.trials.items()}
        )
