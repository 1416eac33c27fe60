"""Waits that end when the process is told to stop: SIGTERM and SIGINT set a flag, and end the wait whenever they come.

A handler that raises would not do: a signal that comes right before the system's call is noticed only when that call is over.
"""

import select
import signal
import socket
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self


class StopSignals:
    """The signals of the process's main thread while it is entered; they are given back at its end."""

    def __init__(self) -> None:
        self.are_asked = False
        """The process was told to stop."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        woken, wake = socket.socketpair()
        for end in (woken, wake):
            self._stack.enter_context(end).settimeout(0)
        before = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._stack.callback(signal.set_wakeup_fd, before)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._stack.callback(signal.signal, number, signal.signal(number, self._stop))
        self._woken = woken
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def wait(self, seconds: float, other: socket.socket | None = None) -> None:
        """Wait for so long, or until another socket can be read from; not at all once the process was told to stop."""
        sockets = [self._woken] if other is None else [self._woken, other]
        # What has woken this is not taken off: all that it says is that nothing is to be waited for any more.
        select.select(sockets, [], [], seconds)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.are_asked = True
