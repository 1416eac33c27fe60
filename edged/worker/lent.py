"""A connection of the tensor socket in the worker that it is lent to: reads one request after the other, and answers each.

Nothing here may wait for the client, because one of few threads does it: what cannot be sent at once ends the connection. What the
client does wrong is its own loss: a request with a mistake is answered with an error, and what is no request ends the connection.
"""

import math
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edged.callers.bucket import TokenBucket
from edged.errors import EdgedError, PolicyLimitError, QuotaError, RequestError
from edged.runtime.board import HEADER_BYTES, Slot, WorkerBoard
from edged.runtime.lending import Adopt, Lease, Why
from edged.runtime.refusals import refusal
from edged.runtime.wire import Step
from edged.schedule.queue import rank_of
from edged.telemetry.serving import OK
from edged.tensor_socket import Error, Infer, ProtocolError, decode_to_server, encode
from edged.tensor_socket.messages import MAX_MESSAGE_BYTES
from edged.tensor_socket.repeats import InferHead, split_infer
from edged.worker.arrangement import Arrangement, Numbered
from edged.worker.arrays import Array
from edged.worker.backends import Session
from edged.worker.deadlines import Deadlines
from edged.worker.model import Model, attempt
from edged.worker.turns import Ticket, Turns

MAX_ARRANGEMENTS: Final = 8
"""Of one connection that are remembered; a client that fills several buffers in turn has a few."""
MAX_REMEMBERED_BYTES: Final = 1 << 20
"""Memory for copies that those arrangements may hold beside the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all connections of a worker use together."""

    model: Model
    tensors: Numbered
    turns: Turns
    deadlines: Deadlines
    board: WorkerBoard


class LentConnection:
    """One connection; a source of ``edged.worker.pool`` that does all its work where it takes its messages.

    Args:
        adopt: How it came.
        connection: Closed with this.
        memory: Of the client.
        desk: Of the worker.
        over: Called once, when nothing more will be read and all is let go of, with why.
    """

    is_serial: Final = True

    def __init__(
        self,
        adopt: Adopt,
        connection: socket.socket,
        memory: memoryview,
        desk: Desk,
        *,
        over: Callable[[int, Why], None],
    ) -> None:
        self.number: Final = adopt.connection
        self._uid = adopt.uid
        self._is_background = adopt.is_background
        self._tells_scale = adopt.wants_scales
        self._connection = connection
        self._descriptor = connection.fileno()
        self._memory = memory
        self._desk = desk
        self._over = over
        self._why: Why = "revoked"
        self._slot: Slot = desk.board.slot(adopt.slot)
        self._arrangements: dict[tuple[bytes, bool], Arrangement] = {}
        self._ticket: Ticket | None = None
        self._run_ns = 0
        self._lease: Lease = adopt.lease
        self._bucket: TokenBucket | None = None
        self.amend(adopt.lease)

    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._descriptor

    def amend(self, lease: Lease) -> None:
        """Go on with other terms."""
        now_s = time.monotonic()
        self._lease = lease
        if not lease.rate_per_s:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(rate_per_s=lease.rate_per_s, burst=lease.burst, now_s=now_s)
        else:
            self._bucket.change(rate_per_s=lease.rate_per_s, burst=lease.burst, now_s=now_s)

    def stop(self) -> None:
        """Stop the request under way, if there is one; for any thread."""
        if (ticket := self._ticket) is not None:
            self._desk.turns.stop(ticket)

    def removed(self) -> None:
        """Let go of the connection and of the memory; see ``edged.worker.pool.Source``."""
        self._arrangements.clear()
        self._connection.close()
        self._memory.release()
        self._over(self.number, self._why)

    def receive(self, buffer: memoryview) -> Callable[[], None] | None:
        """Take and answer one request; see ``edged.worker.pool.Source``."""
        # One byte more than allowed, so that a message that is too long does not look like one that is not.
        room = buffer[: MAX_MESSAGE_BYTES + 1 - HEADER_BYTES]
        try:
            size = self._connection.recvmsg_into([self._slot.header, room], 0, socket.MSG_DONTWAIT)[0]
        except BlockingIOError:
            return _nothing
        except OSError:
            size = 0
        why = self._serve(room[: max(0, size - HEADER_BYTES)], time.monotonic_ns()) if size else "closed"
        self._slot.end()
        if why is None:
            return _nothing
        self._why = why
        return None

    def _serve(self, body: memoryview, began_ns: int) -> Why | None:
        """Answer one message; return why nothing may follow it, if so."""
        split = split_infer(self._slot.header, body)
        if split is None:
            return self._refuse(body)
        head, layout = split
        if self._bucket is not None and (wait_s := self._bucket.take(began_ns / 1e9)):
            self._desk.board.rejected()
            return self._send(encode(_over_rate(head.request, self._lease, wait_s)))
        try:
            arrangement = self._arranged((layout, head.sequence != 0), body)
        except ProtocolError:
            return self._refuse(body)
        ticket = self._ticket = Ticket(
            self._desk.model.session.new_stop(), rank_of(head.priority, is_background=self._is_background)
        )
        longest_us = int(self._lease.deadline_s * 1e6)
        deadline_ns = began_ns + 1000 * min(head.deadline_us or longest_us, longest_us)
        self._slot.begin(began_ns=began_ns, deadline_ns=deadline_ns)
        self._desk.deadlines.watch(ticket, deadline_ns)
        self._run_ns = 0
        answer = (
            arrangement if isinstance(arrangement, EdgedError) else attempt(self._answer, head, arrangement, ticket)
        )
        self._desk.deadlines.forget(ticket)
        self._ticket = None
        if isinstance(answer, EdgedError):
            code, answer = answer.code, encode(refusal(answer, request=head.request))
        else:
            code = OK
        why = self._send(answer)
        # At once: if the worker ends in between, the daemon is in doubt, and answers a second time rather than not at all.
        self._slot.end()
        self._desk.board.finished(
            code,
            total_ns=time.monotonic_ns() - began_ns,
            queue_ns=int(ticket.waited_s * 1e9),
            run_ns=self._run_ns,
        )
        return why

    def _arranged(self, key: tuple[bytes, bool], body: memoryview) -> Arrangement | EdgedError:
        """Find what the places in a message mean, or work it out.

        Raises:
            ProtocolError: The message is none.
        """
        known = self._arrangements.get(key)
        if known is not None:
            return known
        message = decode_to_server(bytes(self._slot.header) + body)
        if not isinstance(message, Infer):
            raise ProtocolError("only requests may follow OPEN")
        desk = self._desk
        found = attempt(Arrangement, message, self._memory, desk.tensors, desk.model, tells_scale=self._tells_scale)
        if isinstance(found, Arrangement):
            others = self._arrangements
            if len(others) >= MAX_ARRANGEMENTS or sum(a.copied_bytes for a in others.values()) > MAX_REMEMBERED_BYTES:
                others.clear()
            others[key] = found
        return found

    def _answer(self, head: InferHead, arrangement: Arrangement, ticket: Ticket) -> bytes | bytearray:
        step = None
        if head.sequence:
            step = Step(uid=self._uid, id=head.sequence, is_start=head.is_start, is_end=head.is_end)
        elif head.is_start or head.is_end:
            raise RequestError("the request begins or ends a sequence, and names none")
        began_ns = time.monotonic_ns()
        (answer,) = self._desk.model.answer([arrangement.question(step, self._lease.scale)], self._execute)
        if isinstance(answer, EdgedError):
            raise answer
        self._run_ns = max(1, time.monotonic_ns() - began_ns - int(ticket.waited_s * 1e9))
        return arrangement.write(answer, request=head.request, run_ns=self._run_ns)

    def _execute(self, session: Session, inputs: Mapping[str, Array]) -> dict[str, Array]:
        ticket, turns = self._ticket, self._desk.turns
        assert ticket is not None  # noqa: S101 - narrows the type; only called within ``_serve``
        turns.enter(ticket)
        try:
            return session.run(inputs, ticket.stop)
        finally:
            turns.leave(ticket)

    def _refuse(self, body: memoryview) -> Why:
        """Say what is wrong with a message that is no request."""
        try:
            decode_to_server(bytes(self._slot.header) + body)
            reason = "only requests may follow OPEN"
        except ProtocolError as exc:
            reason = str(exc)
        self._send(encode(refusal(RequestError(f"not a message of this protocol: {reason}"), is_closing=True)))
        return "refused"

    def _send(self, datagram: bytes | bytearray) -> Why | None:
        try:
            self._connection.send(datagram, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except BlockingIOError:  # it does not read its answers
            return "refused"
        except OSError:
            return "closed"
        return None


def _over_rate(request: int, lease: Lease, wait_s: float) -> Error:
    most = f"{lease.rate_per_s:g} requests a second"
    error = (
        PolicyLimitError(f"rule {lease.rule} lets no more than {most} of this connection begin", rule=lease.rule)
        if lease.rule
        else QuotaError(
            f"This connection may have {most}.",
            limit="limits.rate_per_s",
            hint="Ask again after the time given, or have limits.rate_per_s raised.",
        )
    )
    return refusal(error, request=request, retry_after_ms=math.ceil(wait_s * 1000))


def _nothing() -> None:
    """Do nothing: the work is done where the message is taken."""
