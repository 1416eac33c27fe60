"""Find out who is on the other end of a Unix socket: the user always, the systemd unit where it can be known.

The unit is read from ``/proc/PID/cgroup``, and only when a rule needs it. A number of a process that has ended is given to another one
sooner or later, so what was read counts only if the process that connected still lives afterwards; SO_PEERPIDFD (Linux 6.5) refers
to that very process. Without it, and where /proc does not show other users' processes (``ProtectProc=`` of systemd.exec(5)), units
are unknown and rules for users apply.
"""

import os
import pwd
import select
import socket
import struct
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edged.callers.caller import Caller, unit_of_cgroup
from edged.callers.peer import peer_of

if TYPE_CHECKING:
    from asyncio.trsock import TransportSocket

SO_PEERPIDFD: Final = 77
"""``socket`` does not have it; the same number on every architecture that Debian 13 runs edged on."""
PROC: Final = Path("/proc")
_INT: Final = struct.Struct("i")
_REMEMBERED_NAMES: Final = 1024


def identify(sock: "socket.socket | TransportSocket", *, proc: Path = PROC) -> Caller:
    """Return the caller behind a connected Unix socket, which has to stay open for as long as its unit may be asked for.

    Args:
        sock: The daemon's end.
        proc: Where processes are looked up; another directory in tests.
    """
    peer = peer_of(sock)
    return Caller(uid=peer.uid, user=user_name(peer.uid), read_unit=partial(_read_unit, sock, peer.pid, proc))


@lru_cache(maxsize=_REMEMBERED_NAMES)
def user_name(uid: int) -> str:
    """Return a user's name, or its number where it has none. What was looked up once is remembered."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def can_see_units(*, proc: Path = PROC) -> bool:
    """Tell whether units of other users' processes can be known here; where not, rules for units apply to nobody."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        try:
            os.close(_peer_pidfd(ours))
            (proc / "1/cgroup").read_bytes()
        except OSError:
            return False
    return True


def _read_unit(sock: "socket.socket | TransportSocket", pid: int, proc: Path) -> str | None:
    if pid <= 0:
        return None
    try:
        pidfd = _peer_pidfd(sock)
    except OSError:  # an older kernel, a peer that was gone before, or a socket that is closed
        return None
    try:
        unit = unit_of_cgroup((proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace"))
        return unit if _is_alive(pidfd) else None
    except OSError:
        return None
    finally:
        os.close(pidfd)


def _peer_pidfd(sock: "socket.socket | TransportSocket") -> int:
    (pidfd,) = _INT.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, _INT.size))
    return int(pidfd)


def _is_alive(pidfd: int) -> bool:
    """Tell whether the process has not ended: pidfd_open(2) says that the descriptor is readable once it has."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)
