"""Stand between a socket and the server library's protocol, and let through one well-formed request at a time.

A ``Guard`` is what the event loop calls. It collects a head, has ``edged.api.head`` judge it, and only then passes it on with exactly
the body it announced; the next request waits here until this one is answered. So the library never holds an unfinished head, a flood of
requests sent ahead, or anything the rules refuse, and each refusal has a problem body. The guard's own deadlines:

- a head takes at most ``header_timeout_s`` (from the connection for the first one, from its first byte for the others);
- a peer that does not read what it asked for is cut off after ``request_timeout_s``;
- a refused peer that is still sending has ``LINGER_S`` to read why.

The library keeps its own: idle connections, bodies that are never finished, draining at the end.
"""

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from edged.api.head import MAX_HEAD_BYTES, HeadRefusedError, parse_head
from edged.api.limits import LiveLimits
from edged.api.problems import CONTENT_TYPE, ProblemDetails, for_status

LINGER_S: Final = 2.0
_END: Final = b"\r\n\r\n"
_TURNS_TO_CONNECT: Final = 5


class Gate:
    """Makes the guards of one listening side and counts them; a protocol factory."""

    def __init__(self, make_inner: Callable[[], asyncio.Protocol], limits: LiveLimits) -> None:
        self._make_inner = make_inner
        self.limits = limits
        self.connections = 0
        self._unheard: set[Guard] = set()
        self._all_heard = asyncio.Event()
        self._all_heard.set()

    def __call__(self) -> "Guard":
        """Return the protocol for a new connection."""
        return Guard(self._make_inner(), self)

    def await_first_request(self, guard: "Guard") -> None:
        """Note a connection whose peer has not asked anything yet."""
        self._unheard.add(guard)
        self._all_heard.clear()

    def forget(self, guard: "Guard") -> None:
        """Note that it has asked, or will not."""
        self._unheard.discard(guard)
        if not self._unheard:
            self._all_heard.set()

    async def hear_out(self, *, timeout_s: float) -> None:
        """Wait until every peer that was let in has asked its first question, but no longer than ``timeout_s``.

        To be called once nobody is let in any more: whoever connected just before would otherwise be turned away in
        mid-sentence, with a request that nobody will repeat.
        """
        # A connection that was just taken becomes a guard in one of the loop's next turns.
        for _ in range(_TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._all_heard.wait()


class Guard(asyncio.Protocol):
    """One connection."""

    def __init__(self, inner: asyncio.Protocol, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._pending = bytearray()
        """Bytes that are not passed on yet: an unfinished head, or requests sent ahead."""
        self._scanned = 0
        """How many of them were searched for the end of the head."""
        self._body_left = 0
        """Bytes of the current request's body that are still to come."""
        self._is_busy = False
        """A request was passed on and is not answered yet."""
        self._is_refused = False
        self._is_paused = False
        self._read_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse a connection too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type; stream sockets have no other
        self._transport = transport
        self._gate.connections += 1
        self._gate.await_first_request(self)
        self._inner.connection_made(transport)
        limits = self._gate.limits.current
        if self._gate.connections > limits.max_connections:
            self._refuse(
                for_status(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    f"All {limits.max_connections} connections are in use.",
                    retry_after_s=1,
                )
            )
            # No lingering: whoever opens connections without end must not hold even one of them.
            transport.close()
        else:
            self._read_timer = self._loop.call_later(limits.header_timeout_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; the library cancels the request under way."""
        self._gate.connections -= 1
        self._gate.forget(self)
        for timer in (self._read_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the peer."""
        if self._is_refused:
            return
        if not self._pending and len(data) <= self._body_left:
            # Most bytes are those of bodies: passed on without a copy.
            self._body_left -= len(data)
            self._inner.data_received(data)
            return
        self._pending += data
        self._advance()

    def eof_received(self) -> bool | None:
        """Treat the end of what the peer sends as its leaving, and say what was missing to one that still listens."""
        if not self._is_refused:
            if self._body_left and self._is_busy:
                self._refuse(
                    for_status(
                        HTTPStatus.BAD_REQUEST, f"The body ended {self._body_left} bytes before its Content-Length."
                    )
                )
            elif self._pending and not self._is_busy:
                self._refuse(for_status(HTTPStatus.BAD_REQUEST, "The request ended within its headers."))
        return False

    def pause_writing(self) -> None:
        """Wait for a peer that reads slowly, but not for ever."""
        self._write_timer = self._loop.call_later(self._gate.limits.current.request_timeout_s, self._transport.abort)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Go on; the peer has read."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self._inner.resume_writing()

    def request_done(self) -> None:
        """Learn that the current request is answered to its last byte, and take the next one."""
        self._is_busy = False
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._advance()

    def _advance(self) -> None:
        """Pass on as much of what is pending as may be passed on now."""
        while self._pending and not self._is_refused:
            if self._body_left:
                self._pass_on(min(self._body_left, len(self._pending)))
            elif self._is_busy:
                if len(self._pending) > MAX_HEAD_BYTES:
                    # May be undone by the library, which pauses and resumes for bodies; then the next bytes pause it again.
                    self._is_paused = True
                    self._transport.pause_reading()
                return
            elif not self._take_head():
                return

    def _take_head(self) -> bool:
        """Judge the head at the beginning of what is pending and pass it on; False while it is not complete."""
        # RFC 9112, section 2.2: empty lines before a request line are ignored.
        if bytes(self._pending[:1]) in {b"\r", b"\n"}:
            del self._pending[: len(self._pending) - len(self._pending.lstrip(b"\r\n"))]
        end = self._pending.find(_END, self._scanned)
        limits = self._gate.limits.current
        if (end if end >= 0 else len(self._pending)) > MAX_HEAD_BYTES:
            self._refuse(
                for_status(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"A request's head has at most {MAX_HEAD_BYTES} bytes."
                )
            )
            return False
        if end < 0:
            self._await_head(limits.header_timeout_s)
            return False
        try:
            head = parse_head(bytes(self._pending[:end]), max_body_bytes=limits.max_body_bytes)
        except HeadRefusedError as exc:
            self._refuse(exc.problem)
            return False
        self._stop_read_timer()
        self._gate.forget(self)
        self._scanned = 0
        self._is_busy = True
        self._body_left = end + len(_END) + head.content_length
        self._pass_on(min(self._body_left, len(self._pending)))
        return True

    def _await_head(self, timeout_s: float) -> None:
        self._scanned = max(0, len(self._pending) - len(_END) + 1)
        # Told at once, where it can be seen at once, instead of after the deadline.
        line_end = self._pending.find(b"\n")
        has_bare_newline = line_end > 0 and self._pending[line_end - 1] != ord("\r")
        if self._pending and (has_bare_newline or not self._pending[:1].isalpha()):
            self._refuse(for_status(HTTPStatus.BAD_REQUEST, "What was sent does not look like an HTTP/1.1 request."))
        elif self._pending and self._read_timer is None:
            self._read_timer = self._loop.call_later(timeout_s, self._head_is_late)

    def _pass_on(self, count: int) -> None:
        part = bytes(self._pending[:count])
        del self._pending[:count]
        self._body_left -= count
        self._inner.data_received(part)

    def _head_is_late(self) -> None:
        self._read_timer = None
        if self._pending:
            self._refuse(for_status(HTTPStatus.REQUEST_TIMEOUT, "The request's headers were not complete in time."))
        else:
            self._transport.close()

    def _refuse(self, problem: ProblemDetails) -> None:
        """Answer without the library, take no more, and close once the peer has had a chance to read the answer."""
        self._is_refused = True
        self._gate.forget(self)
        self._stop_read_timer()
        # A peer that was refused before its path is known is told in both dialects.
        body = problem.encode(is_v2=True)
        fields = {
            "Content-Type": CONTENT_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
            **problem.headers(),
        }
        lines = [
            f"HTTP/1.1 {problem.status.value} {problem.status.phrase}",
            *(f"{key}: {value}" for key, value in fields.items()),
        ]
        self._transport.write("\r\n".join(lines).encode() + _END + body)
        self._transport.write_eof()
        self._pending.clear()
        self._read_timer = self._loop.call_later(LINGER_S, self._transport.close)

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
