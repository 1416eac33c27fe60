"""Read what processes use, from /proc. Blocking: the kernel walks a process's page tables for its proportional memory."""

import os
import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_AVAILABLE: Final = re.compile(r"(?m)^MemAvailable: +(\d+) kB$")
_ROLLUP: Final = re.compile(r"(?m)^(Rss|Pss): +(\d+) kB$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessMemory:
    """The memory of one process."""

    resident_bytes: int
    """All of its pages that are in memory, also those it shares."""
    proportional_bytes: int
    """The same with each shared page divided by the number of processes that have it; adds up over processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUse:
    """What this process uses."""

    cpu_s: float
    """User and system time of all its threads."""
    resident_bytes: int
    virtual_bytes: int
    open_descriptors: int
    max_descriptors: int


def read_memory(pids: Sequence[int], *, proc: Path = PROC) -> dict[int, ProcessMemory]:
    """Read the memory of some processes; those that are gone or hidden are left out."""
    found = {pid: _read_rollup(proc / str(pid) / "smaps_rollup") for pid in pids}
    return {pid: memory for pid, memory in found.items() if memory is not None}


def read_available_bytes(*, proc: Path = PROC) -> int:
    """Return how much memory could be given to something new without swapping, by the kernel's estimate; 0 where it gives none."""
    try:
        match = _AVAILABLE.search((proc / "meminfo").read_text(encoding="ascii"))
    except OSError:
        return 0
    return 0 if match is None else int(match[1]) << 10


def read_own_use(*, proc: Path = PROC) -> OwnUse:
    """Read what this process uses.

    Raises:
        OSError: /proc is not there.
    """
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    virtual_pages, resident_pages = (proc / "self/statm").read_text(encoding="ascii").split()[:2]
    times = resource.getrusage(resource.RUSAGE_SELF)
    return OwnUse(
        cpu_s=times.ru_utime + times.ru_stime,
        resident_bytes=int(resident_pages) * page_bytes,
        virtual_bytes=int(virtual_pages) * page_bytes,
        open_descriptors=sum(1 for _ in (proc / "self/fd").iterdir()),
        max_descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def _read_rollup(path: Path) -> ProcessMemory | None:
    try:
        text = path.read_text(encoding="ascii")
    except OSError:
        return None
    kilobytes = {name: int(number) for name, number in _ROLLUP.findall(text)}
    if kilobytes.keys() != {"Rss", "Pss"}:
        return None  # a process that has no memory any more
    return ProcessMemory(resident_bytes=kilobytes["Rss"] << 10, proportional_bytes=kilobytes["Pss"] << 10)
