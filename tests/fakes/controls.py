"""The updater's control socket with nobody behind it but the test, and peers that speak to it in their own words."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edged.clock import Clock, SystemClock
from edged.sockets import bind_unix
from edged.update.protocol.asking import MAX_PACKET_BYTES, Request, Told, decode_told, encode_packet
from edged.update.service.control import Control
from tests.fakes.gates import short_directory
from tests.fakes.patience import PATIENCE_S


@dataclass(frozen=True)
class Desk:
    """A control socket and what attends to it."""

    control: Control
    path: Path

    def connect(self) -> socket.socket:
        """Return a peer that has said nothing; the caller closes it."""
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        peer.settimeout(PATIENCE_S)
        peer.connect(str(self.path))
        return peer

    def ask(self, request: Request | bytes) -> socket.socket:
        """Return a peer that has asked, and been heard."""
        peer = self.connect()
        peer.send(request if isinstance(request, bytes) else encode_packet(request))
        for _ in range(2):  # it is let in, and then heard
            self.attend()
        return peer

    def attend(self) -> None:
        """Have it look at everybody once."""
        self.control.attend(select.select(self.control.sockets(), [], [], 0)[0])


def told(peer: socket.socket) -> Told | None:
    """Return what a peer is told next; None when the connection has ended."""
    packet = peer.recv(MAX_PACKET_BYTES)
    return decode_told(packet) if packet else None


def is_dropped(peer: socket.socket) -> bool:
    """Tell whether the connection has ended, or will with the next word."""
    try:
        return peer.recv(MAX_PACKET_BYTES) == b""
    except ConnectionError:
        return True


@contextmanager
def desk(clock: Clock | None = None) -> Iterator[Desk]:
    """Open a control socket for as long as the context lasts."""
    with (
        short_directory() as directory,
        bind_unix(directory / "control", mode=0o600, kind=socket.SOCK_SEQPACKET) as listener,
    ):
        control = Control(listener, clock=clock or SystemClock())
        try:
            yield Desk(control, directory / "control")
        finally:
            control.close()
