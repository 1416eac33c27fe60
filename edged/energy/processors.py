"""How busy all processors were since boot (proc(5), ``/proc/stat``)."""

import os
from pathlib import Path
from typing import Final

STAT: Final = Path("/proc/stat")
_IDLE: Final = frozenset({3, 4})
"""The places of ``idle`` and ``iowait``."""
_COUNTED: Final = 8
"""``guest`` and ``guest_nice``, which follow, are in ``user`` and ``nice`` already."""


def read_busy_s(path: Path = STAT) -> float | None:
    """Return how long all processors together were busy, seconds; None where it cannot be read."""
    try:
        with path.open(encoding="ascii") as file:
            name, *fields = file.readline().split()
        ticks = [int(field) for field in fields[:_COUNTED]]
    except (OSError, ValueError):
        return None
    if name != "cpu" or len(ticks) < _COUNTED:
        return None
    return sum(tick for place, tick in enumerate(ticks) if place not in _IDLE) / os.sysconf("SC_CLK_TCK")
