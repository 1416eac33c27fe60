"""The runs channel of a worker: takes one message at a time from the daemon, runs the model, answers.

A run is known from the moment its message is read until its answer is sent, and while it is known it can be stopped. Because stops come
on another channel, one may be read before the run that it is for: it is remembered. An answer that needs room is kept until the daemon
gives some, which it does, or ends the worker.
"""

import socket
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from edged.errors import BackendError, EdgedError
from edged.runtime.wire import MAX_BATCH, TO_RUNS, Buffer, Give, Item, Ran, Run, WireError, decode, encode, split
from edged.worker.arrays import Array
from edged.worker.backends import Session
from edged.worker.model import Answer, Model, attempt
from edged.worker.question import Question
from edged.worker.replies import Reply, failed
from edged.worker.segments import Segments
from edged.worker.turns import Ticket, Turns

MAX_EARLY_STOPS: Final = 1024
"""Stops of runs that were not read yet, or that have ended already: nobody can tell which, so the oldest are forgotten."""
MAX_PARTS: Final = 64
# Plain numbers: Python's flags take longer to combine than the message to arrive.
_FLAGS: Final = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)
_CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(2 * MAX_BATCH * array("i").itemsize)


class Runs:
    """The work that comes over one channel.

    Args:
        channel: Blocking; stays the caller's.
        model: What is run.
        turns: The line before it.
        segments: Where requests and answers may lie.
        max_kept: Most answers that wait for room; the daemon has no more runs under way.
    """

    is_serial: Final = False

    def __init__(
        self, channel: socket.socket, model: Model, turns: Turns, segments: Segments, *, max_kept: int
    ) -> None:
        self._channel = channel
        self._model = model
        self._turns = turns
        self._segments = segments
        self._max_kept = max_kept
        self._lock = threading.Lock()
        self._tickets: dict[int, Ticket] = {}
        self._early_stops: OrderedDict[int, bool] = OrderedDict()
        self._kept: OrderedDict[int, Reply] = OrderedDict()

    def fileno(self) -> int:
        """Return the channel's descriptor, which is readable when there is work."""
        return self._channel.fileno()

    def receive(self, buffer: memoryview) -> Callable[[], None] | None:
        """Take the next message; see ``edged.worker.pool.Source``.

        Raises:
            WireError: It is none, or names what it does not bring.
        """
        try:
            size, ancillary, flags, _ = self._channel.recvmsg_into([buffer], _ANCILLARY_BYTES, _FLAGS)
        except BlockingIOError:
            return _nothing
        except ConnectionResetError:  # as the end, but it left something unread
            return None
        if not size:
            return None
        if flags & _CUT:
            raise WireError("a message does not fit into what was made for it")
        message, payload = decode(TO_RUNS, buffer[:size])
        if message.segments or ancillary:
            self._segments.add(message.segments, _descriptors(ancillary))
        if isinstance(message, Give):
            return partial(self._give, message)
        return partial(self._run, message, payload, self._register(message))

    def removed(self) -> None:
        """Do nothing: the worker ends with its control channel."""

    def stop(self, run: int) -> None:
        """Stop a run, whether its message was read yet or not; no effect on one that has ended."""
        with self._lock:
            ticket = self._tickets.get(run)
            if ticket is None:
                self._early_stops[run] = True
                if len(self._early_stops) > MAX_EARLY_STOPS:
                    self._early_stops.popitem(last=False)
                return
        self._turns.stop(ticket)

    def _register(self, message: Run) -> Ticket:
        ticket = Ticket(self._model.session.new_stop(), message.rank)
        with self._lock:
            self._tickets[message.run] = ticket
            is_stopped = self._early_stops.pop(message.run, False)
        if is_stopped:
            self._turns.stop(ticket)
        return ticket

    def _run(self, message: Run, payload: memoryview, ticket: Ticket) -> None:
        began_s = time.monotonic()
        results, features = self._results(message.items, payload, ticket)
        run_s = max(0.0, time.monotonic() - began_s - ticket.waited_s)
        with self._lock:
            del self._tickets[message.run]
        reply = attempt(Reply, message.run, results, run_s, features=features)
        if isinstance(reply, EdgedError):  # no memory for the answers themselves
            reply = Reply(message.run, [reply] * len(results), run_s, features={})
        ran, parts = reply.message([item.room for item in message.items], self._segments, may_ask=True)
        if ran.room_bytes:
            reply.keep()
            with self._lock:
                self._kept[message.run] = reply
                if len(self._kept) > self._max_kept:
                    self._kept.popitem(last=False)
        self._send(ran, parts)

    def _results(
        self, items: Sequence[Item], payload: memoryview, ticket: Ticket
    ) -> tuple[list[Answer | EdgedError], dict[int, Mapping[str, Array]]]:
        """Return what each item is answered, and what the steps before the model made of those for which that is wanted."""

        def execute(session: Session, inputs: Mapping[str, Array]) -> dict[str, Array]:
            self._turns.enter(ticket)
            try:
                return session.run(inputs, ticket.stop)
            finally:
                self._turns.leave(ticket)

        questions: list[Question | EdgedError] = []
        start, is_wanted = 0, False
        for item in items:
            is_wanted |= item.features == "wanted"
            parts, start = split(item.tensors, payload, start)
            lying = [
                self._segments.part(head.segment, head.offset, head.size) if part is None else part
                for head, part in zip(item.tensors, parts, strict=True)
            ]
            questions.append(attempt(self._model.question, item, lying))
        good = [question for question in questions if not isinstance(question, EdgedError)]
        answers = iter(self._model.answer(good, execute))
        results = [question if isinstance(question, EdgedError) else next(answers) for question in questions]
        if not is_wanted:
            return results, {}
        return results, {
            i: question.features
            for i, question in enumerate(questions)
            if isinstance(question, Question) and question.features is not None
        }

    def _give(self, message: Give) -> None:
        with self._lock:
            reply = self._kept.pop(message.run, None)
        if reply is None:
            lost = failed(BackendError("the answer was not kept any longer"))
            self._send(Ran(run=message.run, answers=(lost,) * len(message.rooms)), ())
            return
        self._send(*reply.message(message.rooms, self._segments, may_ask=False))

    def _send(self, ran: Ran, payload: Sequence[Buffer]) -> None:
        try:
            datagram = encode(ran, payload)
        except WireError as exc:
            unsent = failed(BackendError(f"the answer cannot be sent: {exc}"))
            datagram = encode(Ran(run=ran.run, answers=(unsent,) * len(ran.answers), run_s=ran.run_s))
        try:
            # sendmsg(2) takes at most 1024 parts, and many small ones cost more than a copy.
            self._channel.sendmsg(datagram if len(datagram) <= MAX_PARTS else [b"".join(datagram)])
        except (BrokenPipeError, ConnectionResetError):
            # The daemon is gone, and so will be this process: the control channel has closed, too.
            return


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    return [descriptor for _, _, data in ancillary for descriptor in array("i", data)]


def _nothing() -> None:
    """Do nothing: there was no message."""
