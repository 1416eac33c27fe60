"""One client of the tensor socket: a connection and its memory, lent to whichever worker answers for its model.

Where a client is:

    at hand   nobody reads its connection; what it sends waits in the socket
    lent      a worker reads it
    over      closed

It is lent as soon as its model has a worker, and asked back when another one is to have it. What makes it come back, and what happens
then: it was asked for (lent to the next, or closed if there is none for it); its worker ended (what was under way is answered from here,
then likewise); the client left, or did what it may not (closed). So requests are neither lost nor read twice when a model is replaced or
its worker dies.

A client that takes scales is told in a NOTICE when the policy asks for another one. Such a NOTICE, which changes nothing about the
answers, waits until the client has read most of what it was sent before: one that never reads keeps its room for answers.
"""

import os
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from edged.callers.caller import Caller
from edged.callers.quotas import Admission
from edged.daemon.serving.keeper import Worker
from edged.daemon.serving.served import Served
from edged.errors import EdgedError, ModelChangedError, RequestError, UnavailableError
from edged.host.lender import Client, Loss
from edged.runtime.lending import Lease, Why
from edged.runtime.refusals import refusal
from edged.tensor_socket import Notice, Open, TensorEntry, encode
from edged.tensor_socket.messages import MAX_MESSAGE_BYTES, permille

MAX_UNREAD: Final = 1024
"""Messages that are thrown away when a connection is closed; more than its buffers hold of sensible ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What answers for a client's model now."""

    served: Served
    version: str
    variant: str
    tensors: Sequence[TensorEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection whose OPEN was found to be good, and all that belongs to it."""

    opening: Open
    caller: Caller
    connection: socket.socket
    memory: int
    """Descriptor."""
    memory_bytes: int
    admission: Admission
    target: Target
    """What it was told about its model."""

    def release(self) -> None:
        """Let go of everything."""
        self.connection.close()
        os.close(self.memory)
        self.admission.release()


class TensorClient:
    """A client that was answered OPENED.

    Args:
        opened: Owned from here on.
        find: Returns what answers for a client now; raises the error to tell it when nothing will. None closes it without a word: by
            connecting again it finds whoever answers next.
        lease: Returns what a caller may ask for on one connection now.
        lent: Told whose worker has it now, and which that is.
        lost: Told when a request of this client was under way in a worker that ended.
        moved: Called whenever a worker has given it back, and when it is over.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        find: Callable[[Open], Target | None],
        lease: Callable[[Caller], Lease],
        lent: Callable[[Served, Worker], None],
        lost: Callable[["TensorClient", EdgedError], None],
        moved: Callable[["TensorClient"], None],
    ) -> None:
        self.opening: Final = opened.opening
        self.caller: Final = opened.caller
        self.target: Target = opened.target
        """What it was told last about its model."""
        self.lent_by: Served | None = None
        """Whose worker has it; None when it is at hand."""
        self.is_over = False
        self._opened = opened
        self._find = find
        self._lease = lease
        self._lent = lent
        self._lost = lost
        self._moved = moved
        self._worker: Worker | None = None
        self._number = 0
        self._has_left = False
        self.told_permille = self._wanted(lease(opened.caller))
        """What it was told last of the scale that is asked for, in OPENED at first; 0 if it takes none."""

    def fileno(self) -> int:
        """Return the connection's descriptor."""
        return self._opened.connection.fileno()

    def settle(self) -> None:
        """Bring it to where it belongs: to the worker that answers now, or to its end."""
        if self.is_over:
            return
        try:
            target = self._find(self.opening)
        except EdgedError as exc:
            if not self._ask_back():
                self._end(exc)
            return
        if target is None:
            if not self._ask_back():
                self._close()
            return
        worker = target.served.worker
        if worker is not self._worker and not self._ask_back() and worker is not None:
            self._follow(target, worker)

    def amend(self) -> None:
        """Apply the limits in force, and tell the client when another scale is asked for."""
        if self._worker is None:
            return
        lease = self._lease(self.caller)
        self._worker.lender.amend(self._number, lease)
        if self._wanted(lease) != self.told_permille and self._has_read():
            self._tell(self.target, lease)

    def leave(self) -> None:
        """Note that the client has closed its end: nobody waits for answers any more."""
        self._has_left = True
        if not self._ask_back(is_urgent=True):
            self._close()

    def refuse(self, error: EdgedError) -> None:
        """Tell the client at once why its connection ends, and have its request under way stopped: it gets no answer to that any more."""
        if self.is_over or self._has_left:
            return
        self._send(encode(refusal(error, is_closing=True)))
        self.leave()

    def hurry(self) -> None:
        """Have the request under way stopped rather than wait for it."""
        self._ask_back(is_urgent=True)

    def _ask_back(self, *, is_urgent: bool = False) -> bool:
        """Have the worker give it back, which ``_returned`` is told; False when it is at hand."""
        if self._worker is None:
            return False
        self._worker.lender.revoke(self._number, is_urgent=is_urgent)
        return True

    def _follow(self, target: Target, worker: Worker) -> None:
        """Have a worker answer from now on, and tell the client if it is another version's."""
        told = self.target
        if target.tensors != told.tensors:
            self._end(
                ModelChangedError(
                    f"Version {target.version} of the model has other tensors than version {told.version} had.",
                    hint="Connect again to learn them.",
                )
            )
            return
        lease = self._lease(self.caller)
        if (target.version, target.variant) != (told.version, told.variant):
            self._tell(target, lease)
        self.target = target
        opened = self._opened
        client = Client(
            connection=self.fileno(),
            memory=opened.memory,
            memory_bytes=opened.memory_bytes,
            uid=self.caller.uid,
            is_background=self.opening.is_background,
            wants_scales=self.opening.wants_scales,
        )
        try:
            self._number = worker.lender.lend(client, lease, self._returned)
        except UnavailableError as exc:
            self._end(exc)
            return
        self._worker, self.lent_by = worker, target.served
        self._lent(target.served, worker)

    def _returned(self, why: Why | Loss) -> None:
        self._worker = self.lent_by = None
        if isinstance(why, Loss) and why.request:
            self._lost(self, why.error)
            self._send(encode(refusal(why.error, request=why.request)))
        if self._has_left or why in {"closed", "refused"}:
            self._close()
        elif why == "unusable":
            self._end(RequestError("The memory was changed so that it can no longer be used."))
        else:
            self.settle()
            if not self.is_over:
                self._moved(self)

    def _end(self, error: EdgedError) -> None:
        """Tell the client why its connection ends, and close it."""
        self._send(encode(refusal(error, is_closing=True)))
        self._close()

    def _close(self) -> None:
        if self.is_over:
            return
        self.is_over = True
        discard_unread(self._opened.connection)
        self._moved(self)
        self._opened.release()

    def _wanted(self, lease: Lease) -> int:
        return permille(lease.scale) if self.opening.wants_scales else 0

    def _tell(self, target: Target, lease: Lease) -> None:
        wanted = self._wanted(lease)
        if self._send(encode(Notice(version=target.version, variant=target.variant, wanted_permille=wanted))):
            self.told_permille = wanted

    def _has_read(self) -> bool:
        """Tell whether most of what was sent was read: one may send while three quarters of the buffer are free (Linux, unix_writable)."""
        poll = select.poll()
        poll.register(self._opened.connection, select.POLLOUT)
        return any(events & select.POLLOUT for _, events in poll.poll(0))

    def _send(self, datagram: bytes) -> bool:
        """Say something; whoever does not read its answers misses this one, too."""
        with suppress(OSError):
            self._opened.connection.send(datagram, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            return True
        return False


def discard_unread(connection: socket.socket) -> None:
    """Read what nobody will answer: a connection closed with something unread in it keeps the other end from what was sent to it."""
    with suppress(OSError):
        for _ in range(MAX_UNREAD):
            if not connection.recv(MAX_MESSAGE_BYTES, socket.MSG_DONTWAIT):
                return
