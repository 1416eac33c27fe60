"""The updater's control socket: who asks for something, in what order they get it, and what they are told meanwhile.

Who may connect is the socket's mode and group; who it was goes into the journal. Nobody is waited for:

(1) a peer that does not say within some seconds what it wants, or says something else, is dropped
(2) those who ask for a check wait for one that begins after they asked. All of them share it, and see the steps of whatever runs until
    then, and are told at the end what came of that, too. There is a limit to how many wait; the next one is told that the updater is busy.
(3) one may bring updates by hand at a time, and the next one is told that the updater is busy. Nothing goes before it: a refresh from the
    network that runs is ended, and goes on where it stopped once the other is done.
(4) who does not take a step misses it; who does not take the outcome is dropped

Who has gone is noticed when there is something to tell them.
"""

import logging
import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from edged import journal
from edged.callers.peer import peer_of
from edged.callers.who import user_name
from edged.clock import Clock
from edged.errors import UnavailableError
from edged.update.protocol.asking import MAX_PACKET_BYTES, Apply, Check, Outcome, decode_request, encode_packet
from edged.update.protocol.messages import MessageError, Step, failure_of
from edged.update.protocol.phases import Phase, Progress

LOG = logging.getLogger(__name__)

SAY_WITHIN_S: Final = 5.0
"""How long a peer may take to say what it wants."""
MAX_STRANGERS: Final = 8
"""Peers that have not said what they want; more of them wait outside."""
MAX_CHECKS: Final = 16
_AGAIN_S: Final = 1.0
"""When the door is looked at again after the system would not let anybody in."""


@dataclass(slots=True, kw_only=True)
class _Asker:
    connection: socket.socket
    is_served: bool = False
    """Whether the check that runs began after they asked."""
    staged: tuple[str, ...] = ()
    """What came while they waited for it to begin."""


class Control:
    """Attends to the control socket; see ``edged.update.waits.waiting.Door`` for when.

    Args:
        listener: Where peers connect; sequenced packets. Closed by others.
        clock: Monotonic.
    """

    def __init__(self, listener: socket.socket, *, clock: Clock) -> None:
        listener.settimeout(0)
        self._listener = listener
        self._clock = clock
        self._closed_until_s = 0.0
        self._strangers: dict[socket.socket, float] = {}
        self._checks: list[_Asker] = []
        self._apply: socket.socket | None = None
        self._is_applying = False
        self._step: Step | None = None

    @property
    def is_check_asked(self) -> bool:
        """Whether somebody waits for a check."""
        return bool(self._checks)

    @property
    def is_apply_asked(self) -> bool:
        """Whether somebody brings updates that nobody has begun to take."""
        return self._apply is not None and not self._is_applying

    def sockets(self) -> list[socket.socket]:
        """Return what is to be looked at."""
        is_open = len(self._strangers) < MAX_STRANGERS and self._clock.monotonic_s() >= self._closed_until_s
        return [*self._strangers, *([self._listener] if is_open else [])]

    def deadline_s(self) -> float | None:
        """Return when the next peer is to be dropped, or the door looked at again."""
        deadlines_s = list(self._strangers.values())
        if self._clock.monotonic_s() < self._closed_until_s:
            deadlines_s.append(self._closed_until_s)
        return min(deadlines_s, default=None)

    def attend(self, readable: Collection[socket.socket]) -> None:
        """Let peers in, hear what they want, and drop those who say nothing."""
        if self._listener in readable:
            self._let_in()
        for stranger in [sock for sock in self._strangers if sock in readable]:
            del self._strangers[stranger]
            self._hear(stranger)
        now_s = self._clock.monotonic_s()
        for stranger in [sock for sock, deadline_s in self._strangers.items() if deadline_s <= now_s]:
            LOG.info("A peer of the control socket said nothing and was dropped")
            del self._strangers[stranger]
            stranger.close()

    def tell(self, phase: Phase, progress: Progress | None = None) -> None:
        """Tell everybody who waits what is done now."""
        self._step = Step(phase=phase, progress=progress)
        if not self._checks and self._apply is None:
            return
        packet = encode_packet(self._step)
        for asker in self._checks.copy():
            if not _can_take(asker.connection, packet):
                self._checks.remove(asker)
                asker.connection.close()
        if self._apply is not None:
            _can_take(self._apply, packet)

    def begin_check(self) -> None:
        """Take note that a poll begins, which is what those want who have asked until now."""
        for asker in self._checks:
            asker.is_served = True

    def end_check(self, outcome: Outcome) -> None:
        """Answer those who wanted the poll that has ended."""
        self._step = None
        asked, self._checks = self._checks, []
        for asker in asked:
            asker.staged += outcome.staged
            if asker.is_served:
                _answer(asker.connection, msgspec.structs.replace(outcome, staged=asker.staged))
            else:
                self._checks.append(asker)

    def begin_apply(self) -> socket.socket:
        """Return the connection of the one who brings updates; it stays this object's."""
        if self._apply is None:
            raise RuntimeError("nobody brings updates")
        self._is_applying = True
        return self._apply

    def end_apply(self, outcome: Outcome) -> None:
        """Answer the one who brought updates."""
        self._step = None
        connection, self._apply = self._apply, None
        self._is_applying = False
        if connection is not None:
            _answer(connection, outcome)

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._strangers, *(asker.connection for asker in self._checks)]:
            connection.close()
        if self._apply is not None:
            self._apply.close()

    def _let_in(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:  # gone again
            return
        except OSError as exc:
            LOG.warning("Nobody can be let in: %s", exc)
            self._closed_until_s = self._clock.monotonic_s() + _AGAIN_S
            return
        connection.settimeout(0)
        self._strangers[connection] = self._clock.monotonic_s() + SAY_WITHIN_S

    def _hear(self, connection: socket.socket) -> None:
        """Take the request of a peer."""
        try:
            # Descriptors that come with it are closed by the kernel: nobody makes room for them.
            request = decode_request(connection.recv(MAX_PACKET_BYTES))
            peer = peer_of(connection)
        except (OSError, MessageError) as exc:
            LOG.info("A peer of the control socket was not understood and dropped: %s", exc)
            connection.close()
            return
        match request:
            case Check() if len(self._checks) < MAX_CHECKS:
                self._checks.append(_Asker(connection=connection))
                if self._step is not None:
                    _can_take(connection, encode_packet(self._step))
            case Apply() if self._apply is None:
                self._apply = connection
            case _:
                _answer(connection, _busy(request))
                return
        verb = "check" if isinstance(request, Check) else "apply"
        journal.event(LOG, journal.UPDATE_ASKED, verb=verb, user=user_name(peer.uid), uid=peer.uid)


def _busy(request: Check | Apply) -> Outcome:
    if isinstance(request, Check):
        error = UnavailableError(
            "too many wait for the updater already", hint="Try again when they have been answered."
        )
    else:
        error = UnavailableError("somebody else is bringing updates just now", hint="Try again when they are done.")
    return Outcome(failure=failure_of(error))


def _can_take(connection: socket.socket, packet: bytes) -> bool:
    """Send a packet; false when the peer is gone. One that only does not read misses it."""
    try:
        connection.send(packet)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _answer(connection: socket.socket, outcome: Outcome) -> None:
    with connection, suppress(OSError):
        connection.send(encode_packet(outcome))
