"""The refresh process as the updater sees it: started, listened to, ended.

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
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import edged
from edged.clock import Clock
from edged.errors import EdgedError
from edged.update.protocol.messages import (
    Finding,
    MessageError,
    Milestone,
    Step,
    Task,
    decode_answer,
    encode,
    failure_of,
)
from edged.update.protocol.phases import Report
from edged.update.waits.line import Line
from edged.update.waits.waiting import Waits

LOG = logging.getLogger(__name__)

CHILD_DESCRIPTOR: Final = 3
STICK_DESCRIPTOR: Final = 4
MAX_LINE_BYTES: Final = 4 << 20
_OWN_VARIABLES: Final = ("LISTEN_", "NOTIFY_", "WATCHDOG_")
"""Beginnings of what systemd tells the updater's own process and nobody else."""
_BLOCKED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""What systemd and terminals send to all processes of a group; they mean the updater, which ends the refresh itself."""


class Watch(Protocol):
    """Looks, while a refresh runs, at what it does and at the host; ``edged.update.service.watches``."""

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again."""
        ...

    def goes_on(self, milestone: Milestone) -> bool:
        """Take note of how far the refresh is; false when it is to be ended."""
        ...

    def is_outdated(self) -> bool:
        """Ask the host; true when the refresh is to be ended for what it says."""
        ...


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
        program: Sequence[str] = ("-m", "edged.update.refresh.finding"),
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
                    return self._listen(process, Line(ours, self._waits), task, report, watch)
                finally:
                    process.end()
        except (OSError, MessageError) as exc:
            return _failed(task, f"the refresh cannot be run: {exc}")

    def _listen(self, process: "_Process", line: Line, task: Task, report: Report, watch: Watch) -> Finding | None:
        talk = _Talk(line, watch, self._clock, silence_s=self._silence_s)
        try:
            line.send(encode(task), deadline_s=self._clock.monotonic_s() + self._silence_s)
            while (text := talk.hear()) is not None:
                match decode_answer(text):
                    case Finding() as finding:
                        return finding
                    case Step(phase=phase, progress=progress):
                        report(phase, progress)
                    case milestone:
                        if not watch.goes_on(milestone):
                            return None
        except _OutdatedError:
            return None
        except TimeoutError:
            return _failed(task, f"the refresh did not move for {self._silence_s:g} s and was ended")
        except ConnectionError as exc:
            LOG.debug("the refresh closed its end: %s", exc)
        return _failed(task, f"the refresh ended by itself, with {_how(process.end())}")


class _OutdatedError(Exception):
    """The watch wants the refresh to be ended."""


class _Talk:
    """What a refresh says, and between that the question whether it is still of use.

    Args:
        line: To the refresh.
        watch: Asked.
        clock: Monotonic.
        silence_s: Longest time without a word.
    """

    def __init__(self, line: Line, watch: Watch, clock: Clock, *, silence_s: float) -> None:
        self._line = line
        self._watch = watch
        self._clock = clock
        self._silence_s = silence_s
        self._heard_s = clock.monotonic_s()
        self._ask_s = self._heard_s + watch.wait_s()
        self._texts: deque[bytes] = deque()
        self._rest = b""

    def hear(self) -> bytes | None:
        """Return the next line; None when there is none any more.

        Raises:
            _OutdatedError: It is to be ended.
            TimeoutError: It said nothing for too long.
            MessageError: A line is too long.
            OSError: The connection broke.
        """
        while not self._texts:
            self._ask_if_due()
            try:
                block = self._line.receive(deadline_s=min(self._heard_s + self._silence_s, self._ask_s))
            except TimeoutError:
                # It is no silence while the updater itself was busy looking: what came meanwhile has just been looked for.
                if self._clock.monotonic_s() >= self._heard_s + self._silence_s:
                    raise
                continue
            if not block:
                return None
            self._take(block)
        return self._texts.popleft()

    def _ask_if_due(self) -> None:
        if self._clock.monotonic_s() >= self._ask_s:
            if self._watch.is_outdated():
                raise _OutdatedError
            self._ask_s = self._clock.monotonic_s() + self._watch.wait_s()

    def _take(self, block: bytes) -> None:
        self._heard_s = self._clock.monotonic_s()
        *texts, self._rest = (self._rest + block).split(b"\n")
        self._texts += texts
        if len(self._rest) > MAX_LINE_BYTES:
            raise MessageError(f"a message of more than {MAX_LINE_BYTES} bytes")


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
