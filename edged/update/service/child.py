"""The refresh process as the updater sees it: started, listened to (``edged.update.service.talk``), ended.

It is there only while there is something to fetch or to check, because it needs python-tuf and what that needs: three times the memory of
all the rest of the updater. It can be killed at any moment: whatever it does to the disk is made to survive a power cut. That is what
happens to it when the host has something newer, and what it does is of no more use (``edged.update.service.watches``).
"""

import fcntl
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import edged
from edged.clock import Clock
from edged.errors import EdgedError
from edged.update.protocol.messages import Finding, MessageError, Task, failure_of
from edged.update.protocol.phases import Report
from edged.update.service.talk import Talk, Watch
from edged.update.waits.waiting import Waits

LOG = logging.getLogger(__name__)

CHILD_DESCRIPTOR: Final = 3
STICK_DESCRIPTOR: Final = 4
_OWN_VARIABLES: Final = ("LISTEN_", "NOTIFY_", "WATCHDOG_")
"""Beginnings of what systemd tells the updater's own process and nobody else."""
_BLOCKED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""What systemd and terminals send to all processes of a group; they mean the updater, which ends the refresh itself."""


class RefreshProcess:
    """Runs refreshes, each in a process of its own.

    Args:
        waits: Where to wait for it.
        clock: Monotonic.
        silence_s: A process that says nothing for so long is taken for stuck, and ended.
        program: Arguments of the interpreter; a test may bring others.
    """

    def __init__(
        self,
        *,
        waits: Waits,
        clock: Clock,
        silence_s: float,
        program: Sequence[str] = ("-m", "edged.update.refresh"),
    ) -> None:
        self._waits = waits
        self._clock = clock
        self._silence_s = silence_s
        self._program = program

    def run(self, task: Task, report: Report, watch: Watch, stick: socket.socket | None = None) -> Finding | None:
        """Run one refresh to its end.

        Args:
            task: What to do.
            report: Told each step.
            watch: Told how far it is, and asked now and then.
            stick: Where the refresh asks for files instead of the repository's host (``edged.update.origins.stick``).

        Returns:
            What it found; also when it crashed, hung or could not be started. None when it was ended because the watch wanted it.

        Raises:
            StopAskedError: The updater was told to stop; the refresh has been ended.
        """
        try:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = _Process(_spawn(self._program, theirs.fileno(), stick))
                try:
                    return self._listen(process, ours, task, report, watch)
                finally:
                    process.end()
        except (OSError, MessageError) as exc:
            return _failed(task, f"the refresh cannot be run: {exc}")

    def _listen(
        self, process: "_Process", connection: socket.socket, task: Task, report: Report, watch: Watch
    ) -> Finding | None:
        talk = Talk(connection, self._waits, self._clock, watch=watch, report=report, silence_s=self._silence_s)
        try:
            return talk.run(task)
        except TimeoutError:
            return _failed(task, f"the refresh did not move for {self._silence_s:g} s and was ended")
        except ConnectionError as exc:
            LOG.debug("%s", exc)
        return _failed(task, f"the refresh ended by itself, with {_how(process.end())}")


class _Process:
    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._status: int | None = None

    def end(self) -> int:
        """End the process and wait until it is gone; returns its exit code, or minus the signal that ended it."""
        if self._status is None:
            # Nobody else waits for it, so the number is still its own; on one that has ended by itself the signal has no effect.
            os.kill(self._pid, signal.SIGKILL)
            self._status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._status


def _spawn(program: Sequence[str], descriptor: int, stick: socket.socket | None) -> int:
    passed = {CHILD_DESCRIPTOR: descriptor}
    # A copy whose number is none of those that the child gets.
    copy = None if stick is None else fcntl.fcntl(stick, fcntl.F_DUPFD_CLOEXEC, STICK_DESCRIPTOR + 1)
    if copy is not None:
        passed[STICK_DESCRIPTOR] = copy
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
    # The child must find the same package, wherever this process found it.
    environment = {**inherited, "PYTHONPATH": str(Path(edged.__file__).parent.parent)}
    # Not subprocess: it needs pipe2(2), which the unit's system call filter takes away with the rest of @ipc.
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", *program, *map(str, passed)],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in passed.items()],
            setsigmask=_BLOCKED_SIGNALS,
        )
    finally:
        if copy is not None:
            os.close(copy)


def _how(status: int) -> str:
    return f"exit code {status}" if status >= 0 else f"signal {-status} ({signal.strsignal(-status)})"


def _failed(task: Task, message: str) -> Finding:
    hint = "It is tried again; the journal of edged-update may tell more."
    return Finding(failure=failure_of(EdgedError(message, hint=hint)), checked_unix_s=task.checked_unix_s)
