"""The refresh process as the updater sees it: started, listened to, ended.

It is there only while there is something to fetch or to check, because it needs python-tuf and what that needs: three times the memory of
all the rest of the updater. It can be killed at any moment: whatever it does to the disk is made to survive a power cut.
"""

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
from edged.update.line import Line
from edged.update.messages import Finding, MessageError, Step, Task, decode_answer, encode, failure_of
from edged.update.phases import Report
from edged.update.waiting import Waits

LOG = logging.getLogger(__name__)

CHILD_DESCRIPTOR: Final = 3
MAX_LINE_BYTES: Final = 4 << 20
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

    def run(self, task: Task, report: Report) -> Finding:
        """Run one refresh to its end.

        Args:
            task: What to do.
            report: Told each step.

        Returns:
            What it found; also when it crashed, hung or could not be started.

        Raises:
            StopAskedError: The updater was told to stop; the refresh has been ended.
        """
        try:
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = _Process(_spawn(self._program, theirs.fileno()))
                try:
                    return self._listen(process, Line(ours, self._waits), task, report)
                finally:
                    process.end()
        except (OSError, MessageError) as exc:
            return _failed(task, f"the refresh cannot be run: {exc}")

    def _listen(self, process: "_Process", line: Line, task: Task, report: Report) -> Finding:
        data = b""
        try:
            line.send(encode(task), deadline_s=self._deadline_s())
            while block := line.receive(deadline_s=self._deadline_s()):
                *texts, data = (data + block).split(b"\n")
                for text in texts:
                    match decode_answer(text):
                        case Finding() as finding:
                            return finding
                        case Step(phase=phase, progress=progress):
                            report(phase, progress)
                if len(data) > MAX_LINE_BYTES:
                    raise MessageError(f"a message of more than {MAX_LINE_BYTES} bytes")
        except TimeoutError:
            return _failed(task, f"the refresh did not move for {self._silence_s:g} s and was ended")
        except ConnectionError as exc:
            LOG.debug("the refresh closed its end: %s", exc)
        return _failed(task, f"the refresh ended by itself, with {_how(process.end())}")

    def _deadline_s(self) -> float:
        return self._clock.monotonic_s() + self._silence_s


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


def _spawn(program: Sequence[str], descriptor: int) -> int:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OWN_VARIABLES)}
    # The child must find the same package, wherever this process found it.
    environment = {**inherited, "PYTHONPATH": str(Path(edged.__file__).parent.parent)}
    # Not subprocess: it needs pipe2(2), which the unit's system call filter takes away with the rest of @ipc.
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", *program, str(CHILD_DESCRIPTOR)],
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, descriptor, CHILD_DESCRIPTOR)],
        setsigmask=_BLOCKED_SIGNALS,
    )


def _how(status: int) -> str:
    return f"exit code {status}" if status >= 0 else f"signal {-status} ({signal.strsignal(-status)})"


def _failed(task: Task, message: str) -> Finding:
    hint = "It is tried again; the journal of edged-update may tell more."
    return Finding(failure=failure_of(EdgedError(message, hint=hint)), checked_unix_s=task.checked_unix_s)
