"""Clients that cost little: blocking for latency, one epoll loop for throughput. Both check every status.

A client library would be measured with the server; these send bytes that are ready and read only what they must.
"""

import re
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

Connect = Callable[[], socket.socket]

_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: *([0-9]+)")
_END: Final = b"\r\n\r\n"


class AnswerError(Exception):
    """A server answered with something other than 200."""


class Client:
    """One connection that asks the same question again and again."""

    def __init__(self, connect: Connect, request: bytes) -> None:
        self._socket = connect()
        self._request = request
        self._buffer = bytearray(1 << 20)

    def ask(self) -> float:
        """Ask once; returns the seconds until the last byte of the answer."""
        started_s = time.perf_counter()
        self._socket.sendall(self._request)
        received = 0
        while True:
            count = self._socket.recv_into(memoryview(self._buffer)[received:])
            received += count
            if is_whole(self._buffer, received, is_closed=not count):
                return time.perf_counter() - started_s

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def is_whole(buffer: bytearray, received: int, *, is_closed: bool) -> bool:
    """Tell whether an answer is complete.

    Raises:
        AnswerError: Its status is not 200, or the server hung up.
    """
    end = buffer.find(_END, 0, received)
    if end < 0:
        if is_closed:
            raise AnswerError("the server hung up")
        return False
    if not buffer.startswith(b"HTTP/1.1 200"):
        raise AnswerError(bytes(buffer[: min(received, 600)]).decode(errors="replace"))
    match = _LENGTH.search(buffer, 0, end)
    if match is None:
        raise AnswerError("the answer has no Content-Length")
    return received >= end + len(_END) + int(match[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What several clients got out of a server."""

    requests: int
    elapsed_s: float
    latencies_s: Sequence[float]

    @property
    def per_s(self) -> float:
        """Requests a second."""
        return self.requests / self.elapsed_s


def measure_throughput(connect: Connect, request: bytes, *, clients: int, seconds: float) -> Throughput:
    """Have some clients ask at once, each again as soon as it has its answer, until the time is over."""
    sockets = [connect() for _ in range(clients)]
    buffers = {sock.fileno(): bytearray(1 << 20) for sock in sockets}
    received = dict.fromkeys(buffers, 0)
    to_send = dict.fromkeys(buffers, memoryview(request))
    asked_s = dict.fromkeys(buffers, 0.0)
    by_number = {sock.fileno(): sock for sock in sockets}
    latencies: list[float] = []
    poll = select.epoll()
    started_s = time.perf_counter()
    end_s = started_s + seconds
    try:
        for number, sock in by_number.items():
            sock.settimeout(0)
            poll.register(number, select.EPOLLIN)
            asked_s[number] = time.perf_counter()
            _send(sock, to_send, poll)
        while (now_s := time.perf_counter()) < end_s:
            for number, events in poll.poll(end_s - now_s):
                sock = by_number[number]
                if events & select.EPOLLOUT:
                    _send(sock, to_send, poll)
                if not events & (select.EPOLLIN | select.EPOLLHUP):
                    continue
                count = sock.recv_into(memoryview(buffers[number])[received[number] :])
                received[number] += count
                if is_whole(buffers[number], received[number], is_closed=not count):
                    now_s = time.perf_counter()
                    latencies.append(now_s - asked_s[number])
                    received[number], to_send[number], asked_s[number] = 0, memoryview(request), now_s
                    _send(sock, to_send, poll)
        return Throughput(requests=len(latencies), elapsed_s=time.perf_counter() - started_s, latencies_s=latencies)
    finally:
        poll.close()
        for sock in sockets:
            sock.close()


def _send(sock: socket.socket, to_send: dict[int, memoryview], poll: select.epoll) -> None:
    number = sock.fileno()
    view = to_send[number]
    try:
        while view:
            view = view[sock.send(view) :]
    except BlockingIOError:
        poll.modify(number, select.EPOLLIN | select.EPOLLOUT)
    else:
        poll.modify(number, select.EPOLLIN)
    to_send[number] = view
