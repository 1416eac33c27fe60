"""Where the updater's only thread waits: for time, for a socket, for a signal. Nothing else in its process blocks.

So one place sees to what has to go on meanwhile. The watchdog is fed whenever the thread comes by, which it does only as long as it
gets from one wait to the next; and after SIGTERM or SIGINT every wait ends with ``StopAskedError``, wherever the thread is.

One thread without an event loop, because this process is there for ever and nearly always idle: a loop and a second thread would be
a sixth of its memory.
"""

import select
import signal
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import FrameType, TracebackType
from typing import Final, Literal, Protocol, Self

from edged.clock import Clock
from edged.notify import Notifier

Direction = Literal["read", "write"]

_LONGEST_S: Final = 3600.0
"""The system's call takes no larger numbers than some years; the thread may as well come by once an hour."""


class StopAskedError(BaseException):
    """The process was told to stop. No failure of anything, so it passes whatever handles those."""


class Waits(Protocol):
    """Where the parts of the updater wait; ``Waiting``."""

    def rest(self, seconds: float | None) -> bool:
        """Wait for the next poll, for ever when ``seconds`` is None; true when somebody asked for it earlier.

        Raises:
            StopAskedError: The process was told to stop.
        """
        ...

    def until_ready(self, connection: socket.socket, to: Direction, *, deadline_s: float) -> None:
        """Wait until a connection can be read from or written to.

        Args:
            connection: Does not block.
            to: What it is wanted for.
            deadline_s: Monotonic seconds.

        Raises:
            TimeoutError: It could not at the deadline.
            StopAskedError: The process was told to stop.
        """
        ...


class Waiting:
    """The waits of the process's main thread, and its signals while it is entered: SIGTERM, SIGINT, and SIGUSR1, which ends a rest.

    Args:
        notifier: Whose watchdog is fed.
        clock: Monotonic, of deadlines.
    """

    def __init__(self, *, notifier: Notifier, clock: Clock) -> None:
        self._notifier = notifier
        self._clock = clock
        self._fed_s: float | None = None
        self._is_stopping = False
        self._is_nudged = False
        self._woken, self._wake = socket.socketpair()
        self._restored = ExitStack()

    def __enter__(self) -> Self:
        """Take the signals."""
        for end in (self._woken, self._wake):
            end.settimeout(0)
        # A signal that comes between a look at the flags and the system's call must end that call.
        self._restored.callback(
            signal.set_wakeup_fd, signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        )
        for number, handler in (
            (signal.SIGTERM, self._stop),
            (signal.SIGINT, self._stop),
            (signal.SIGUSR1, self._nudge),
        ):
            self._restored.callback(signal.signal, number, signal.signal(number, handler))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        self._restored.close()
        self._woken.close()
        self._wake.close()

    def rest(self, seconds: float | None) -> bool:
        """Wait for the next poll; see ``Waits``."""
        self._check_stop()
        deadline_s = None if seconds is None else self._clock.monotonic_s() + seconds
        while not self._is_nudged and not self._is_past(deadline_s):
            self._wait(deadline_s)
        was_nudged, self._is_nudged = self._is_nudged, False
        return was_nudged

    def until_ready(self, connection: socket.socket, to: Direction, *, deadline_s: float) -> None:
        """Wait for a connection; see ``Waits``."""
        reads, writes = ([connection], []) if to == "read" else ([], [connection])
        while True:
            # Before the look at the connection: one that is always ready, a byte at a time, has no more time than others.
            if self._is_past(deadline_s):
                raise TimeoutError(f"nothing to {to} in time")
            if self._wait(deadline_s, reads, writes):
                return

    def _is_past(self, deadline_s: float | None) -> bool:
        return deadline_s is not None and self._clock.monotonic_s() >= deadline_s

    def _wait(
        self, deadline_s: float | None, reads: Sequence[socket.socket] = (), writes: Sequence[socket.socket] = ()
    ) -> bool:
        """Wait once: for the deadline, the watchdog, a signal or a connection; true when it was a connection."""
        self._check_stop()
        now_s = self._clock.monotonic_s()
        limits_s = [_LONGEST_S] if deadline_s is None else [_LONGEST_S, deadline_s - now_s]
        if (interval_s := self._notifier.watchdog_interval_s) is not None:
            if self._fed_s is None or now_s - self._fed_s >= interval_s:
                self._notifier.watchdog()
                self._fed_s = now_s
            limits_s.append(self._fed_s + interval_s - now_s)
        readable, writable, _ = select.select([self._woken, *reads], writes, [], max(0.0, min(limits_s)))
        if self._woken in readable:
            readable.remove(self._woken)
            with suppress(BlockingIOError):
                self._woken.recv(4096)
        self._check_stop()
        return bool(readable or writable)

    def _check_stop(self) -> None:
        if self._is_stopping:
            raise StopAskedError

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True

    def _nudge(self, _number: int, _frame: FrameType | None) -> None:
        self._is_nudged = True
