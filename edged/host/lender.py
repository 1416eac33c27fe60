"""The daemon's side of the connections that are lent to a worker.

A connection is lent until it is ended, which is told exactly once: by the worker, which then touches it no more, or by the worker's end.
What the worker was doing with it at that moment is on the board. The worker is held to its own deadlines: one that runs a request for
longer than it may is said to be stuck, by whoever looks often enough.
"""

import itertools
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edged.errors import EdgedError, UnavailableError
from edged.host.channel import Channel
from edged.runtime.board import DaemonBoard, UnderWay
from edged.runtime.lending import (
    FROM_BORROWER,
    SLOTS,
    Adopt,
    Amend,
    Board,
    Lease,
    Revoke,
    Why,
)
from edged.runtime.wire import WireError, decode, encode
from edged.telemetry.row import NUMBERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A connection to lend."""

    connection: int
    """Descriptor; stays the caller's, as the memory does."""
    memory: int
    memory_bytes: int
    uid: int
    is_background: bool
    wants_scales: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A connection came back because its worker has ended."""

    error: EdgedError
    request: int
    """That was under way then, by its client's number; 0 when none was."""


Ended = Callable[[Why | Loss], None]
"""Told why a connection came back."""


@dataclass(slots=True)
class _Loan:
    slot: int
    lease: Lease
    ended: Ended
    is_asked_back: bool = False
    seen: tuple[UnderWay, float] | None = None
    """What was under way at the last look, and when that was first seen, in monotonic seconds."""


class Lender:
    """What one worker has borrowed. Made, used and closed on the event loop.

    Args:
        channel: The daemon's end; closed with this.
        broken: As for ``Channel``.
    """

    def __init__(self, channel: socket.socket, *, broken: Callable[[WireError | None], None]) -> None:
        self._channel = Channel(channel, received=self._told, broken=broken)
        self._numbers = itertools.count(1)
        self._loans: dict[int, _Loan] = {}
        self._free_slots = list(range(SLOTS))
        self._board: DaemonBoard | None = None
        self._counts: Sequence[int] = [0] * NUMBERS
        self._is_over = False

    def lend(self, client: Client, lease: Lease, ended: Ended) -> int:
        """Hand a connection over to the worker.

        Args:
            client: The connection.
            lease: What it may ask for.
            ended: Called once, never from within this call.

        Returns:
            The number of the loan.

        Raises:
            UnavailableError: The worker has as many as it can, or there is no memory for the board.
        """
        if not self._free_slots or self._is_over:
            raise UnavailableError(f"{SLOTS} connections use this model already", hint="Close those that are not used.")
        if self._board is None:
            self._board = DaemonBoard()
            self._channel.send(encode(Board()), [self._board.descriptor])
        number = next(self._numbers)
        loan = self._loans[number] = _Loan(self._free_slots.pop(), lease, ended)
        message = Adopt(
            connection=number,
            slot=loan.slot,
            memory_bytes=client.memory_bytes,
            uid=client.uid,
            is_background=client.is_background,
            wants_scales=client.wants_scales,
            lease=lease,
        )
        self._channel.send(encode(message), [client.connection, client.memory])
        return number

    def amend(self, number: int, lease: Lease) -> None:
        """Change what a connection may ask for; no effect when it is so already, or when it came back."""
        loan = self._loans.get(number)
        if loan is not None and loan.lease != lease:
            loan.lease = lease
            self._channel.send(encode(Amend(connection=number, lease=lease)))

    def revoke(self, number: int, *, is_urgent: bool) -> None:
        """Ask for a connection back; ``ended`` tells when it is there.

        Args:
            number: Of the loan; no effect when it came back already.
            is_urgent: Stop what is under way rather than wait for its answer.
        """
        loan = self._loans.get(number)
        if loan is not None and (is_urgent or not loan.is_asked_back):
            loan.is_asked_back = True
            self._channel.send(encode(Revoke(connection=number, is_urgent=is_urgent)))

    def counts(self) -> Sequence[int]:
        """Return the worker's row of counts (``edged.telemetry.row``), also after its end."""
        if self._board is not None:
            self._counts = self._board.counts()
        return self._counts

    def running(self) -> int:
        """Return how many requests the worker says it has."""
        return len(self._under_way())

    def is_stuck(self, *, grace_s: float) -> bool:
        """Tell whether the worker runs something for much longer than it may.

        Args:
            grace_s: How long something may go on after its deadline, in seconds.
        """
        now_s = time.monotonic()
        under_way = self._under_way()
        for loan in self._loans.values():
            found = under_way.get(loan.slot)
            if found is None:
                loan.seen = None
                continue
            if loan.seen is None or loan.seen[0] != found:
                loan.seen = (found, now_s)
            # What the worker wrote itself may be anything, so what was seen from here counts as well.
            is_late = 0 < found.deadline_ns < (now_s - grace_s) * 1e9
            if is_late or now_s - loan.seen[1] > loan.lease.deadline_s + grace_s:
                return True
        return False

    def drain(self) -> None:
        """Take the messages that have arrived; for when the worker is gone."""
        self._channel.drain()

    def end_all(self, make_error: Callable[[], EdgedError]) -> None:
        """End what is left, and close the channel; the worker is gone."""
        self._is_over = True
        self._channel.close()
        under_way = self._under_way()
        self.counts()
        if self._board is not None:
            self._board.close()
            self._board = None
        loans = list(self._loans.values())
        self._loans.clear()
        for loan in loans:
            found = under_way.get(loan.slot)
            loan.ended(Loss(error=make_error(), request=0 if found is None else found.request))

    def _under_way(self) -> dict[int, UnderWay]:
        return {} if self._board is None else self._board.under_way()

    def _told(self, datagram: memoryview) -> None:
        message, rest = decode(FROM_BORROWER, datagram)
        loan = self._loans.pop(message.connection, None)
        if rest or loan is None:
            raise WireError(f"connection {message.connection} is returned, which was not lent")
        self._free_slots.append(loan.slot)
        loan.ended(message.why)
