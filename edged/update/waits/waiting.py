"""Where the updater's only thread waits: for time, for a socket, for a signal. Nothing else in its process blocks.

So one place sees to what has to go on meanwhile. The watchdog is fed whenever the thread comes by, which it does only as long as it gets
from one wait to the next; after SIGTERM or SIGINT every wait ends with ``StopAskedError``, wherever the thread is; and whoever comes to the
door (``edged.update.service.control``) is attended to in every wait, and so is a refresh beside which the thread waits for something else
(``edged.update.service.talk``). Somebody who brings updates by hand ends every wait, too, with ``ApplyAskedError``: what the network brings
meanwhile can be begun again.

One thread without an event loop, because this process is there for ever and nearly always idle: a loop and a second thread would be
a sixth of its memory.
"""

import select
import signal
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Final, Literal, Protocol, Self

from edged.clock import Clock
from edged.notify import Notifier

Direction = Literal["read", "write"]

_LONGEST_S: Final = 3600.0
"""The system's call takes no larger numbers than some years; the thread may as well come by once an hour."""


class StopAskedError(BaseException):
    """The process was told to stop. No failure of anything, so it passes whatever handles those."""


class ApplyAskedError(BaseException):
    """Somebody brings updates by hand, which go first. No failure either."""


class Attended(Protocol):
    """What is attended to whatever the thread waits for."""

    def sockets(self) -> Sequence[socket.socket]:
        """Return what is to be looked at: each has something for ``attend`` when it can be read from."""
        ...

    def attend(self, readable: Collection[socket.socket]) -> None:
        """Do what there is to do, without waiting for anything."""
        ...


class Door(Attended, Protocol):
    """Who else may come while the thread waits; ``edged.update.service.control.Control``."""

    @property
    def is_check_asked(self) -> bool:
        """Whether somebody waits for a poll."""
        ...

    @property
    def is_apply_asked(self) -> bool:
        """Whether somebody waits for what they bring to be taken."""
        ...

    def deadline_s(self) -> float | None:
        """Return when to come by at the latest, monotonic seconds; None when nobody is there."""
        ...


class Waits(Protocol):
    """Where the parts of the updater wait; ``Waiting``."""

    def rest(self, seconds: float | None) -> bool:
        """Wait for the next poll, for ever when ``seconds`` is None; true when somebody asked for it earlier.

        Raises:
            StopAskedError: The process was told to stop.
            ApplyAskedError: Somebody brings updates.
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
            ApplyAskedError: Somebody brings updates.
        """
        ...

    def attending(self, other: Attended) -> AbstractContextManager[None]:
        """Attend to something else, too, in every wait of this context."""
        ...


class Waiting:
    """The waits of the process's main thread, and its signals while it is entered: SIGTERM, SIGINT, and SIGUSR1, which ends a rest.

    Args:
        notifier: Whose watchdog is fed.
        clock: Monotonic, of deadlines.
        door: Attended to meanwhile; None when nobody can come.
    """

    def __init__(self, *, notifier: Notifier, clock: Clock, door: Door | None = None) -> None:
        self._notifier = notifier
        self._clock = clock
        self._door = door
        self._attended: list[Attended] = [] if door is None else [door]
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
        self._check_asked()
        deadline_s = None if seconds is None else self._clock.monotonic_s() + seconds
        while not self._is_poll_asked and not self._is_past(deadline_s):
            self._wait(deadline_s)
        was_asked, self._is_nudged = self._is_poll_asked, False
        return was_asked

    def until_ready(self, connection: socket.socket, to: Direction, *, deadline_s: float) -> None:
        """Wait for a connection; see ``Waits``."""
        reads, writes = ([connection], []) if to == "read" else ([], [connection])
        while True:
            # Before the look at the connection: one that is always ready, a byte at a time, has no more time than others.
            if self._is_past(deadline_s):
                raise TimeoutError(f"nothing to {to} in time")
            if self._wait(deadline_s, reads, writes):
                return

    @contextmanager
    def attending(self, other: Attended) -> Iterator[None]:
        """Attend to something else; see ``Waits``."""
        self._attended.append(other)
        try:
            yield
        finally:
            self._attended.remove(other)

    def _is_past(self, deadline_s: float | None) -> bool:
        return deadline_s is not None and self._clock.monotonic_s() >= deadline_s

    def _wait(
        self, deadline_s: float | None, reads: Sequence[socket.socket] = (), writes: Sequence[socket.socket] = ()
    ) -> bool:
        """Wait once: for the deadline, the watchdog, a signal, the door or a connection; true when it was a connection."""
        self._check_asked()
        now_s = self._clock.monotonic_s()
        limits_s = [_LONGEST_S] if deadline_s is None else [_LONGEST_S, deadline_s - now_s]
        if (interval_s := self._notifier.watchdog_interval_s) is not None:
            if self._fed_s is None or now_s - self._fed_s >= interval_s:
                self._notifier.watchdog()
                self._fed_s = now_s
            limits_s.append(self._fed_s + interval_s - now_s)
        if self._door is not None and (come_by_s := self._door.deadline_s()) is not None:
            limits_s.append(come_by_s - now_s)
        looked_at = [(one, one.sockets()) for one in self._attended]
        guests = [guest for _, theirs in looked_at for guest in theirs]
        readable, writable, _ = select.select([self._woken, *reads, *guests], writes, [], max(0.0, min(limits_s)))
        if self._woken in readable:
            with suppress(BlockingIOError):
                self._woken.recv(4096)
        for one, theirs in looked_at:
            one.attend([guest for guest in theirs if guest in readable])
        self._check_asked()
        return bool(writable) or any(connection in readable for connection in reads)

    @property
    def _is_poll_asked(self) -> bool:
        return self._is_nudged or (self._door is not None and self._door.is_check_asked)

    def _check_asked(self) -> None:
        if self._is_stopping:
            raise StopAskedError
        if self._door is not None and self._door.is_apply_asked:
            raise ApplyAskedError

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopping = True

    def _nudge(self, _number: int, _frame: FrameType | None) -> None:
        self._is_nudged = True
