"""Who connected to a Unix socket, as the kernel says; there are no tokens."""

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

_UCRED: Final = struct.Struct("iII")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The process that connected, as it was at that moment (unix(7), SO_PEERCRED)."""

    pid: int
    """0 where the peer is in a process namespace this one cannot see."""
    uid: int
    gid: int


def peer_of(sock: "socket.socket | TransportSocket") -> Peer:
    """Ask the kernel for the peer of a connected Unix socket."""
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid=pid, uid=uid, gid=gid)
