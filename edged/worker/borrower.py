"""A worker's side of the connections that are lent to it: takes them over, serves them with the worker's threads, gives them back.

One thread of its own reads what the lender says and looks at the deadlines, so that both get through whatever the others do. When a
connection is over, for whatever reason, the worker lets go of all that belongs to it and says ``Returned``.
"""

import math
import mmap
import os
import select
import socket
import threading
import time
from array import array
from collections.abc import Callable
from functools import partial
from typing import Final

from edged.runtime.board import WorkerBoard
from edged.runtime.lending import TO_BORROWER, Adopt, Amend, Board, Returned, Revoke, ToBorrower, Why
from edged.runtime.wire import WireError, decode, encode
from edged.worker.arrangement import Numbered
from edged.worker.deadlines import Deadlines
from edged.worker.lent import Desk, LentConnection
from edged.worker.model import Model
from edged.worker.pool import Pool
from edged.worker.turns import Turns

MAX_MESSAGE_BYTES: Final = 4096
MAX_DESCRIPTORS: Final = 2
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(MAX_DESCRIPTORS * array("i").itemsize)
_LONGEST_SLEEP_MS: Final = 1 << 30


class Borrower:
    """The connections that a worker has.

    Args:
        channel: To the lender; blocking; stays the caller's.
        model: What answers.
        tensors: Its tensors.
        turns: The line before it.
        pool: Whose threads serve the connections.
        failed: Called in this one's own thread when that ends by a mistake, which is being handled.
    """

    def __init__(
        self,
        channel: socket.socket,
        *,
        model: Model,
        tensors: Numbered,
        turns: Turns,
        pool: Pool,
        failed: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._model = model
        self._tensors = tensors
        self._turns = turns
        self._pool = pool
        self._failed = failed
        self._alarm = os.eventfd(0)
        self._deadlines = Deadlines(partial(os.eventfd_write, self._alarm, 1))
        self._is_closing = False
        self._desk: Desk | None = None
        self._connections: dict[int, LentConnection] = {}
        self._thread = threading.Thread(target=self._serve, name="lent", daemon=True)

    def start(self) -> None:
        """Start its thread, which ends when the lender closes the channel, or when it is closed."""
        self._thread.start()

    def close(self) -> None:
        """Have its thread end soon; connections are left to themselves."""
        self._is_closing = True
        os.eventfd_write(self._alarm, 1)

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        next_ns = math.inf
        try:
            while not self._is_closing:
                for descriptor, _ in poll.poll(_milliseconds_until(next_ns)):
                    if descriptor == self._alarm:
                        os.eventfd_read(self._alarm)
                    elif not self._receive():
                        return
                next_ns = self._deadlines.expire(time.monotonic_ns(), self._turns.stop)
        except BaseException:  # noqa: BLE001 - whatever it was, somebody has to know
            self._failed()

    def _receive(self) -> bool:
        """Take one message; False at the end of all."""
        try:
            data, ancillary, flags, _ = self._channel.recvmsg(
                MAX_MESSAGE_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionResetError:
            return False
        if not data:
            return False
        descriptors = [descriptor for _, _, part in ancillary for descriptor in array("i", part)]
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise WireError("a message does not fit into what was made for it")
            self._handle(decode(TO_BORROWER, data)[0], descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _handle(self, message: ToBorrower, descriptors: list[int]) -> None:
        """Do what the lender says; whoever calls closes the descriptors that are left in the list."""
        match message, descriptors:
            case Board(), [_]:
                self._desk = Desk(
                    model=self._model,
                    tensors=self._tensors,
                    turns=self._turns,
                    deadlines=self._deadlines,
                    board=WorkerBoard(descriptors[0]),
                )
            case Adopt(), [_, _] if self._desk is not None:
                self._adopt(message, descriptors, self._desk)
            case Amend(), []:
                if (connection := self._connections.get(message.connection)) is not None:
                    connection.amend(message.lease)
            case Revoke(), []:
                if (connection := self._connections.get(message.connection)) is not None:
                    self._revoke(connection, is_urgent=message.is_urgent)
            case _:
                raise WireError("descriptors are missing, or there are too many, or there is no board")

    def _adopt(self, message: Adopt, descriptors: list[int], desk: Desk) -> None:
        try:
            memory = memoryview(mmap.mmap(descriptors[1], message.memory_bytes))
        except (OSError, ValueError, MemoryError):  # the client has changed what was looked at before
            self._send(Returned(connection=message.connection, why="unusable"))
            return
        connection = LentConnection(message, socket.socket(fileno=descriptors.pop(0)), memory, desk, over=self._over)
        self._connections[connection.number] = connection
        self._pool.add(connection)

    def _revoke(self, connection: LentConnection, *, is_urgent: bool) -> None:
        if is_urgent:
            connection.stop()
        self._pool.remove(connection)

    def _over(self, number: int, why: Why) -> None:
        del self._connections[number]
        self._send(Returned(connection=number, why=why))

    def _send(self, message: Returned) -> None:
        try:
            self._channel.sendmsg(encode(message))
        except (BrokenPipeError, ConnectionResetError):
            # The lender is gone, and so will be this process.
            return


def _milliseconds_until(moment_ns: float) -> int:
    # Rounded up last: infinity cannot be divided with a remainder.
    return math.ceil(min(max(0.0, (moment_ns - time.monotonic_ns()) / 1e6), _LONGEST_SLEEP_MS))
