"""How short of processors, memory and disks a device is. Pure.

Pressure is the kernel's PSI, of the last 10 s (Documentation/accounting/psi.rst); memory and load are lines of ``/proc/meminfo`` and
``/proc/loadavg`` (Documentation/filesystems/proc.rst), processors a list like ``0-3,5`` (Documentation/admin-guide/cputopology.rst).
"""

import re
from typing import Final, Literal

from edged.sense.reading import Reading, known, unknown
from edged.sense.snapshot import Snapshot

_SOME: Final = re.compile(r"^some avg10=(\d+\.\d+) ", re.MULTILINE)
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_KIB: Final = 1024


def pressure(snapshot: Snapshot, of: Literal["cpu", "memory", "io"]) -> Reading[float]:
    """Return the percentage of time in which something waited."""
    text = snapshot.files.get(f"pressure/{of}")
    if text is None:
        why = snapshot.errors.get(f"pressure/{of}", "it was not read")
        return unknown(f"this kernel does not measure pressure, which psi=1 on its command line may turn on ({why})")
    match = _SOME.search(text)
    percent = float(match[1]) if match else None
    if percent is None or percent > 100:
        return unknown(f"/proc/pressure/{of} reads {text[:40]!r}")
    return known(percent)


def memory_available_bytes(snapshot: Snapshot) -> Reading[int]:
    """Return the memory that can be had without swapping."""
    match = _AVAILABLE.search(snapshot.files.get("meminfo", ""))
    return unknown(_unread(snapshot, "meminfo")) if match is None else known(int(match[1]) * _KIB)


def load_per_core(snapshot: Snapshot) -> Reading[float]:
    """Return the load average of one minute over the number of processors."""
    cores = count_processors(snapshot.files.get("online", ""))
    if cores is None:
        return unknown("how many processors there are is not known")
    try:
        return known(float(snapshot.files.get("loadavg", "").partition(" ")[0]) / cores)
    except ValueError:
        return unknown(_unread(snapshot, "loadavg"))


def count_processors(text: str) -> int | None:
    """Count a list of processors; None for what is no such list."""
    count = 0
    for span in text.split(","):
        first, dash, last = span.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            return None
        count += int(last) - int(first) + 1 if dash else 1
    return count if count > 0 else None


def _unread(snapshot: Snapshot, name: str) -> str:
    return f"/proc/{name} cannot be read: {snapshot.errors.get(name, 'it reads otherwise than it should')}"
