"""Who is behind a socket: a /proc that says what a test wants, and whether this kernel names the processes of peers."""

import os
import socket
from pathlib import Path

import pytest

from edged.callers import who


def has_peer_pidfds() -> bool:
    """Tell whether this is Linux 6.5 or newer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        try:
            os.close(who._peer_pidfd(ours))
        except OSError:
            return False
    return True


needs_peer_pidfds = pytest.mark.skipif(not has_peer_pidfds(), reason="needs SO_PEERPIDFD (Linux 6.5)")


def say_unit(proc: Path, pid: int, unit: str) -> Path:
    """Let a made-up /proc say that a process belongs to a unit; returns it."""
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cgroup").write_text(f"0::/system.slice/{unit}\n")
    return proc
