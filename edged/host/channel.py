"""The daemon's end of a worker's channel: datagrams over SOCK_SEQPACKET, on the event loop, by plain callbacks.

No task and no future stands between the socket and whoever is told: with small models each of them would cost a good part of the run.
What does not fit into the socket's buffer waits here and goes out when the other end has read. Descriptors are only ever sent; the
kernel closes those that a worker tries to send.
"""

import asyncio
import mmap
import socket
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from edged.runtime.wire import MAX_DATAGRAM_BYTES, Buffer, WireError

MAX_WAITING: Final = 1024
"""Datagrams that may wait for a worker to read; one that is so far behind does not read at all."""
MAX_PARTS: Final = 64
"""More parts are joined first: sendmsg(2) takes at most 1024, and many small ones cost more than a copy."""


def make_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a channel: the one for here, which does not block, and the one for a worker."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (ours, theirs):
        # The largest datagram has to fit, whatever net.core.wmem_default is.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_DATAGRAM_BYTES)
    ours.settimeout(0)
    return ours, theirs


class Channel:
    """One end of a connection; made, used and closed on the event loop.

    Args:
        connection: Does not block; closed with this.
        received: Called with each datagram, which is valid until it returns. Raises ``WireError`` for one that it does not take.
        broken: Called at most once, when nothing more will come: with None because the other end has closed, or with what it did that
            it may not. Never called from within ``send``.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        received: Callable[[memoryview], None],
        broken: Callable[[WireError | None], None],
    ) -> None:
        self._connection = connection
        self._received = received
        self._tell_broken = broken
        self._loop = asyncio.get_running_loop()
        # One byte more than allowed, so that a datagram that is too large does not look like one that is not. Of anonymous memory only
        # what large datagrams touch is ever there.
        self._buffer = memoryview(mmap.mmap(-1, MAX_DATAGRAM_BYTES + 1))
        self._waiting: deque[tuple[bytes, Sequence[int]]] = deque()
        self._is_usable = True
        self._loop.add_reader(connection, self._read)

    def send(self, datagram: Sequence[Buffer], descriptors: Sequence[int] = ()) -> None:
        """Send a datagram, or keep it until it can be sent; a channel that is broken or closed takes it and does nothing.

        Args:
            datagram: Its parts, which are of no more use here once this returns.
            descriptors: Stay the caller's, who keeps them open until the other end has answered.
        """
        if not self._is_usable:
            return
        if self._waiting:
            self._keep(datagram, descriptors)
            return
        try:
            _send(self._connection, datagram if len(datagram) <= MAX_PARTS else [b"".join(datagram)], descriptors)
        except BlockingIOError:
            self._keep(datagram, descriptors)
            self._loop.add_writer(self._connection, self._write)
        except OSError as exc:
            self._note_failed_send(exc)

    def drain(self) -> None:
        """Receive whatever has arrived; for when the other end is known to be gone."""
        while self._is_usable and self._receive_one():
            pass

    def close(self) -> None:
        """Close the connection; nothing is called any more."""
        self._stop()
        self._connection.close()
        # Whoever owns a channel and is called by it is only collected now and then; the memory should not have to wait for that.
        self._buffer = memoryview(b"")

    def _read(self) -> None:
        self._receive_one()

    def _receive_one(self) -> bool:
        """Receive one datagram; return whether there may be another."""
        try:
            size = self._connection.recv_into(self._buffer)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            # The other end closed without having read everything. That is told once; what it wrote before comes next.
            return True
        except OSError as exc:
            self._break(WireError(f"receiving failed: {exc.strerror}"))
            return False
        if not size:
            self._break(None)
            return False
        if size > MAX_DATAGRAM_BYTES:
            self._break(WireError(f"a datagram of more than {MAX_DATAGRAM_BYTES} bytes"))
            return False
        try:
            self._received(self._buffer[:size])
        except WireError as exc:
            self._break(exc)
        return self._is_usable

    def _keep(self, datagram: Sequence[Buffer], descriptors: Sequence[int]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._loop.call_soon(self._break, WireError("it does not read its channel"))
            return
        # Copied, because the caller's buffers are its own again when it gets back to work.
        self._waiting.append((b"".join(datagram), descriptors))

    def _write(self) -> None:
        while self._waiting:
            datagram, descriptors = self._waiting[0]
            try:
                _send(self._connection, [datagram], descriptors)
            except BlockingIOError:
                return
            except OSError as exc:
                self._note_failed_send(exc)
                return
            self._waiting.popleft()
        self._loop.remove_writer(self._connection)

    def _note_failed_send(self, error: OSError) -> None:
        self._waiting.clear()
        self._loop.remove_writer(self._connection)
        # That the other end has closed is found by reading, after what it wrote before.
        if not isinstance(error, BrokenPipeError | ConnectionResetError):
            self._loop.call_soon(self._break, WireError(f"sending failed: {error.strerror}"))

    def _break(self, error: WireError | None) -> None:
        if self._is_usable:
            self._stop()
            self._tell_broken(error)

    def _stop(self) -> None:
        if self._is_usable:
            self._is_usable = False
            self._waiting.clear()
            self._loop.remove_reader(self._connection)
            self._loop.remove_writer(self._connection)


def _send(connection: socket.socket, parts: Sequence[Buffer], descriptors: Sequence[int]) -> None:
    if descriptors:
        connection.sendmsg(parts, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))])
    else:
        connection.sendmsg(parts)
