"""Tells the updater what the refresh process does, and how the process ends when nobody listens."""

import os
import socket
from typing import Final, NoReturn

from edged.clock import Clock
from edged.update.protocol.messages import Milestone, Step, encode
from edged.update.protocol.phases import Phase, Progress

SAY_EVERY_S: Final = 0.5


class Teller:
    """Tells the updater what is going on: each new phase at once, and twice a second that there is progress.

    Args:
        channel: To the updater.
        clock: Monotonic.
    """

    def __init__(self, channel: socket.socket, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._step = Step(phase=Phase.POLLING)
        self._told_s: float | None = None

    def report(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take note of what is done now."""
        is_new = phase is not self._step.phase
        self._step = Step(phase=phase, progress=progress)
        self._tell(at_once=is_new)

    def tell(self, milestone: Milestone) -> None:
        """Take note of how far it is."""
        self._say(milestone)

    def go_on(self) -> None:
        """Take note that it is still being done."""
        self._tell(at_once=False)

    def _tell(self, *, at_once: bool) -> None:
        now_s = self._clock.monotonic_s()
        if at_once or self._told_s is None or now_s - self._told_s >= SAY_EVERY_S:
            self._told_s = now_s
            self._say(self._step)

    def _say(self, message: Step | Milestone) -> None:
        try:
            self._channel.sendall(encode(message))
        except ConnectionError:
            leave()


def leave() -> NoReturn:
    """End this process."""
    # At once, in the middle of whatever the other thread does: nobody waits for it, and the disk is as after a power cut at worst.
    os._exit(0)
