"""Stand between a socket and whatever answers, and let through one well-formed request of a connection at a time.

A ``Guard`` is what the event loop calls. It has ``edged.api.http.inbox`` cut a head out of what comes and ``edged.api.http.head`` judge
it, and then hands the request to one of two:

- an inference to an ``Exchange`` (``edged.api.oip.infer``), without a task, a future or a server library; a large body goes from the kernel
  straight into memory that is shared with the model's worker;
- everything else to the server library's protocol, with exactly the body it announced.

The next request waits here until this one is answered. So neither ever has an unfinished head, a flood of requests sent ahead, or
anything the rules refuse, and each refusal has a problem body. All deadlines of a connection are here:

- a head takes at most ``header_timeout_s`` (from the connection for the first one, from its first byte for the others);
- a body takes at most ``request_timeout_s`` from its head;
- a peer that does not read what it asked for is cut off after ``request_timeout_s``;
- a connection without a request stays open for ``KEEPALIVE_S``;
- an inference that is refused for now (429, 503) is told so after ``REFUSAL_S``: apps that ask again at once, whatever Retry-After says,
  would otherwise take the processor from those that are answered;
- a refused peer that is still sending has a moment to read why (``edged.api.http.line``).
"""

import asyncio
from http import HTTPStatus
from typing import Final, Protocol

from edged.api.connection.intake import Intake
from edged.api.http.head import MAX_HEAD_BYTES, Head, HeadRefusedError, parse_head
from edged.api.http.inbox import HEAD_END, Inbox
from edged.api.http.line import Line, Waits
from edged.api.http.problems import RETRY_AFTER, ProblemDetails, for_status
from edged.api.http.responses import Response, problem_response
from edged.api.oip.infer import Exchange, Services, parse_infer_path
from edged.callers.caller import Caller
from edged.callers.who import identify

KEEPALIVE_S: Final = 75.0
REFUSAL_S: Final = 0.05
_STOPPING: Final = for_status(HTTPStatus.SERVICE_UNAVAILABLE, "edged is stopping.", retry_after_s=1)


class Side(Protocol):
    """What a guard needs of the listening side it belongs to; ``edged.api.connection.gate`` has the real one."""

    services: Services
    scratch: bytearray
    """Where all connections receive; see ``edged.api.http.inbox``."""

    def make_inner(self) -> asyncio.Protocol:
        """Return a protocol of the server library."""
        ...

    def entered(self, guard: "Guard") -> bool:
        """Note a connection; returns whether there is room for it."""
        ...

    def heard(self, guard: "Guard") -> None:
        """Note that it has asked something, or will not."""
        ...

    def left(self, guard: "Guard") -> None:
        """Note its end."""
        ...


class Guard(asyncio.BufferedProtocol):
    """One connection."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._services = side.services
        self._line: Line
        self._caller: Caller | None = None
        self._inner: asyncio.Protocol | None = None
        self._exchange: Exchange | None = None
        self._refusal: asyncio.TimerHandle | None = None
        """Sends one when it is time."""
        self._inbox = Inbox(side.scratch)
        self._intake = Intake()
        self._keepalive = ""
        """What a response says about a connection that stays open: HTTP/1.0 has to be told."""
        self._is_busy = False
        """A request was accepted and is not answered yet."""
        self._is_last = False
        """No request is taken after the current one."""
        self._is_ending = False
        """As much for the one that comes next."""
        self._is_taking = False
        self._is_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or refuse a connection too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows the type; stream sockets have no other
        self._line = Line(transport, self._is_late)
        limits = self._services.limits.current
        if self._side.entered(self):
            self._line.wait(Waits.FIRST_HEAD, limits.header_timeout_s)
            return
        detail = f"All {limits.max_connections} connections are in use."
        self._refuse(for_status(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after_s=1))
        # No lingering: whoever opens connections without end must not hold even one of them.
        self._line.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, and with it the request under way."""
        self._side.left(self)
        self._line.lost()
        self._abandon()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:  # noqa: ARG002 - nobody knows what will come
        """Say where the next bytes go."""
        return self._side.scratch if self._intake.room is None else self._intake.room

    def buffer_updated(self, nbytes: int) -> None:
        """Take bytes from the peer."""
        if self._intake.room is not None:
            self._intake.filled(nbytes)
            self._advance()
        elif not self._line.is_lingering:
            self._inbox.received(nbytes)
            self._advance()

    def eof_received(self) -> bool:
        """Treat the end of what the peer sends as its leaving, and say what was missing to one that still listens."""
        if self._is_busy and self._intake.left:
            missing = self._intake.left - len(self._inbox)
            self._cut_short(f"The body ended {missing} bytes before its Content-Length.")
        elif self._inbox and not self._is_busy:
            self._cut_short("The request ended within its headers.")
        # Where it was this side that ended it, the answer is still wanted.
        return self._line.is_deaf and self._is_busy

    def pause_writing(self) -> None:
        """Wait for a peer that reads slowly."""
        self._line.fill(self._services.limits.current.request_timeout_s)
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Go on; the peer has read."""
        self._line.drained()
        if self._inner is not None:
            self._inner.resume_writing()
        self._advance()

    def request_done(self, *, has_keepalive: bool) -> None:
        """Learn that the server library has answered its request to the last byte.

        Args:
            has_keepalive: The response leaves the connection open.
        """
        self._is_last = self._is_last or not has_keepalive
        self._answered()

    def finish(self) -> None:
        """Answer what was asked, and then close; to be called when nothing new is to be asked any more."""
        self._is_ending = True
        if self._is_busy:
            self._is_last = True
        else:
            self._advance()

    def give_up(self) -> None:
        """Close at once, and drop what is under way; whoever waits for an inference is told so."""
        if self._exchange is None:
            self._line.transport.abort()
        else:
            self._refuse(_STOPPING)

    def _advance(self) -> None:
        """Take as much of what was received as can be taken now, and settle for what comes next."""
        if self._is_taking:  # an answer that came at once: the loop below goes on
            return
        self._is_taking = True
        while self._intake.take(self._inbox) if self._intake.left else self._take_request():
            pass
        self._is_taking = False
        self._inbox.keep()
        if self._line.waits is Waits.BODY and not self._intake.left:
            self._line.wait_no_more()
        is_waiting = self._is_busy or self._line.is_full
        if is_waiting and not self._intake.left:
            if len(self._inbox) > MAX_HEAD_BYTES:
                # May be undone by the library, which pauses and resumes for bodies; then the next bytes pause it again.
                self._is_paused = True
                self._line.transport.pause_reading()
        elif self._is_paused:
            self._is_paused = False
            self._line.transport.resume_reading()
        if is_waiting or self._intake.left or self._is_last:
            return
        if self._line.waits is None:
            self._line.wait(Waits.NEXT, KEEPALIVE_S)
        if self._is_ending and not (self._inbox or self._line.is_deaf):
            self._line.stop_listening()

    def _take_request(self) -> bool:
        """Take a head and hand its request over; False where there is none or it is not its turn."""
        if not self._inbox or self._is_busy or self._is_last or self._line.is_full:
            return False
        limits = self._services.limits.current
        try:
            block = self._inbox.take_head()
            if block is None:
                if self._inbox and self._line.waits in {None, Waits.NEXT}:
                    self._line.wait(Waits.HEAD, limits.header_timeout_s)
                return False
            head = parse_head(block, max_body_bytes=limits.max_body_bytes)
        except HeadRefusedError as exc:
            self._refuse(exc.problem)
            return False
        if self._line.waits is Waits.FIRST_HEAD:
            self._side.heard(self)
        self._line.wait_no_more()
        self._is_busy = True
        self._is_last = self._is_ending or not head.has_keepalive
        if head.content_length > len(self._inbox):
            self._line.wait(Waits.BODY, limits.request_timeout_s)
        path = parse_infer_path(head.target) if head.method == b"POST" else None
        if path is None:
            self._pass_on(block, head.content_length)
        else:
            self._begin_exchange(head, path)
        return True

    def _pass_on(self, block: bytes, length: int) -> None:
        if self._inner is None:
            self._inner = self._side.make_inner()
            self._inner.connection_made(self._line.transport)
        self._intake.expect(length, library=self._inner)
        self._inner.data_received(block + HEAD_END)

    def _begin_exchange(self, head: Head, path: tuple[str, str | None]) -> None:
        exchange = Exchange(self._services, head, path, self._identified(), answered=self._respond)
        self._keepalive = "keep-alive" if head.is_http_1_0 else ""
        is_awaited = head.expects_continue and head.content_length > 0 and not self._inbox
        refusal = exchange.begin()
        if refusal is not None:
            self._intake.expect(head.content_length)
            # Whether a peer that waited for leave to send its body will now send it, nobody knows.
            self._is_last = self._is_last or is_awaited
            self._respond(refusal)
            return
        self._exchange = exchange
        if is_awaited:
            self._line.send_continue()
        if head.content_length:
            self._intake.expect(head.content_length, exchange=exchange)
        else:
            exchange.run()

    def _identified(self) -> Caller:
        if self._caller is None:
            self._caller = identify(self._line.transport.get_extra_info("socket"))
        return self._caller

    def _respond(self, response: Response) -> None:
        """Send the response of an exchange; one that says when to come back, not at once."""
        self._exchange = None
        if RETRY_AFTER in response.fields:
            self._refusal = asyncio.get_running_loop().call_later(REFUSAL_S, self._send, response)
        else:
            self._send(response)

    def _send(self, response: Response) -> None:
        self._refusal = None
        self._line.send(response, connection="close" if self._is_last else self._keepalive)
        self._answered()

    def _answered(self) -> None:
        self._is_busy = False
        if not self._is_last:
            self._advance()
        elif self._intake.left or self._inbox:
            self._linger()
        else:
            self._line.close()

    def _refuse(self, problem: ProblemDetails) -> None:
        """Answer without asking anybody, and take no more."""
        self._side.heard(self)
        self._abandon()
        self._is_busy = False
        self._is_last = True
        self._line.send(problem_response(problem), connection="close")
        self._linger()

    def _linger(self) -> None:
        self._inbox.drop()
        self._intake.forget()
        self._line.linger()

    def _cut_short(self, detail: str) -> None:
        if self._is_ending:
            self._refuse(_STOPPING)
        else:
            self._refuse(for_status(HTTPStatus.BAD_REQUEST, detail))

    def _abandon(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._intake.forget()
        if exchange is not None:
            exchange.abandon()
        if self._refusal is not None:
            self._refusal.cancel()
            self._refusal = None

    def _is_late(self, waits: Waits) -> None:
        if waits in {Waits.FIRST_HEAD, Waits.HEAD} and self._inbox:
            self._refuse(for_status(HTTPStatus.REQUEST_TIMEOUT, "The request's headers were not complete in time."))
        elif waits is Waits.BODY and self._is_busy:
            seconds = self._services.limits.current.request_timeout_s
            self._refuse(for_status(HTTPStatus.REQUEST_TIMEOUT, f"The body was not complete within {seconds:g} s."))
        else:
            self._line.close()
