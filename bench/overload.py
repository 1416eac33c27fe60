"""Ten times as many requests as edged can answer: what becomes of them, how long the answered ones took, and what it does to memory.

Requests come at moments of their own, as from many apps that know nothing of each other, and not when an answer has come. Each takes a
connection that is free; where none is, the server holds its clients back, and that is counted.
"""

import random
import re
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from bench.load import Client, Connect, measure_throughput
from bench.measure import p50_us, p99_us
from bench.processes import pss_bytes

TIMES: Final = 10
"""Of what the server can answer."""
CONNECTIONS: Final = 200
"""Fewer than edged allows, so that it is requests that are too many."""
ALONE: Final = 1000
"""Requests one after the other, to compare with."""
SECONDS: Final = 30.0

_HEAD: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3}).*?\r\nContent-Length: ([0-9]+)\r\n", re.DOTALL)
_END: Final = b"\r\n\r\n"


@dataclass(slots=True, kw_only=True)
class Answers:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    """Of the requests that were answered with 200."""
    without_hint: int = 0
    """Refusals that do not say when to come back."""
    held_back: int = 0
    """Requests that were not sent, because the server had not answered on any connection."""


def measure_overload(connect: Connect, request: bytes, pid: int, *, scale: float) -> dict[str, Any]:
    """Ask ten times as often as a server can answer.

    Args:
        connect: To the server.
        request: One that it answers with 200 when it has the time.
        pid: Of the server's process, for the memory of its tree.
        scale: Of the time that this takes.
    """
    with closing(Client(connect, request)) as client:
        alone_s = [client.ask() for _ in range(max(100, round(scale * ALONE)))]
    capacity = measure_throughput(connect, request, clients=8, seconds=max(1.0, 5 * scale)).per_s
    memory = {"before": pss(pid)}
    answers = ask_at_rate(
        connect,
        request,
        per_s=TIMES * capacity,
        seconds=SECONDS * scale,
        at_half_time=lambda: memory.update(during=pss(pid)),
    )
    memory["after"] = pss(pid)
    return {
        "per_s": TIMES * capacity,
        "seconds": SECONDS * scale,
        "statuses": dict(answers.statuses),
        "without_hint": answers.without_hint,
        "held_back": answers.held_back,
        "alone_p50_us": p50_us(alone_s),
        "alone_p99_us": p99_us(alone_s),
        "p50_us": p50_us(answers.latencies_s),
        "p99_us": p99_us(answers.latencies_s),
        "pss_bytes": memory,
    }


def pss(pid: int) -> int:
    """Return the memory of a process tree."""
    return sum(pss_bytes(pid).values())


def ask_at_rate(
    connect: Connect, request: bytes, *, per_s: float, seconds: float, at_half_time: Callable[[], object]
) -> Answers:
    """Ask at random moments, ``per_s`` times a second on average, and wait for the last answer."""
    lines = {line.number: line for line in (_Line(connect()) for _ in range(CONNECTIONS))}
    idle, answers = deque(lines.values()), Answers()
    gaps = random.Random(1)  # noqa: S311 - no secret: the same arrivals in every run
    poll = select.epoll()
    for number in lines:
        poll.register(number, select.EPOLLIN)
    next_s = time.perf_counter()
    half_s, end_s = next_s + seconds / 2, next_s + seconds
    try:
        while next_s < end_s or len(idle) < CONNECTIONS:
            now_s = time.perf_counter()
            while next_s < min(now_s, end_s):
                if idle:
                    idle.popleft().ask(request, now_s)
                else:
                    answers.held_back += 1
                next_s += gaps.expovariate(per_s)
            if now_s > half_s:
                at_half_time()
                half_s = float("inf")
            for number, _ in poll.poll(max(0.0, next_s - time.perf_counter()) if next_s < end_s else None):
                if lines[number].receive(answers):
                    idle.append(lines[number])
    finally:
        poll.close()
        for line in lines.values():
            line.close()
    return answers


class _Line:
    """One connection, with at most one request on it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = bytearray()
        self._asked_s = 0.0

    @property
    def number(self) -> int:
        """Its descriptor."""
        return self._socket.fileno()

    def ask(self, request: bytes, now_s: float) -> None:
        """Send a request, which fits into the socket's buffer."""
        self._asked_s = now_s
        self._socket.sendall(request)

    def receive(self, answers: Answers) -> bool:
        """Take what has come; returns whether that is the whole answer, which is counted then."""
        self._received += self._socket.recv(1 << 16)
        end = self._received.find(_END)
        match = _HEAD.match(self._received)
        if match is None or len(self._received) < end + len(_END) + int(match[2]):
            return False
        status = int(match[1])
        answers.statuses[status] += 1
        if status == 200:
            answers.latencies_s.append(time.perf_counter() - self._asked_s)
        elif b"\r\nRetry-After: " not in self._received[:end]:
            answers.without_hint += 1
        self._received.clear()
        return True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
