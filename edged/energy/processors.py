"""How busy processors were: with everything since boot (proc(5), ``/proc/stat``), and with one process (proc_pid_stat(5))."""

import os
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_IDLE: Final = frozenset({3, 4})
"""The places of ``idle`` and ``iowait``."""
_COUNTED: Final = 8
"""``guest`` and ``guest_nice``, which follow, are in ``user`` and ``nice`` already."""
_UTIME, _STIME = 11, 12
"""Places behind the name of a process, which may have anything in it, brackets and spaces included."""


def read_busy_s(proc: Path = PROC) -> float | None:
    """Return how long all processors together were busy, seconds; None where it cannot be read."""
    try:
        with (proc / "stat").open(encoding="ascii") as file:
            name, *fields = file.readline().split()
        ticks = [int(field) for field in fields[:_COUNTED]]
    except (OSError, ValueError):
        return None
    if name != "cpu" or len(ticks) < _COUNTED:
        return None
    return sum(tick for place, tick in enumerate(ticks) if place not in _IDLE) / os.sysconf("SC_CLK_TCK")


def read_processor_s(pid: int, proc: Path = PROC) -> float | None:
    """Return how long processors were busy with all threads of a process, seconds; None where it cannot be read.

    What its children used is not in it.
    """
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[_UTIME]) + int(fields[_STIME])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
