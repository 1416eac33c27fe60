"""Memory that a process needed to start and does not need to run, given back to the system.

(1) pages of programs and libraries: starting uses much of them, running little. Pages that are as they are in their file can go at any
    time, because they come back when they are used; but as long as a process has them mapped they count as its own, and the system
    takes others first
(2) free memory of the C library's heap, which keeps what is freed for what will be asked for next
"""

import ctypes
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

SMAPS: Final = Path("/proc/self/smaps")
_MADV_DONTNEED: Final = 4
# Private, not writable, of a file; see proc_pid_smaps(5).
_MAPPING: Final = re.compile(r"(?m)^([0-9a-f]+)-([0-9a-f]+) r-[-x]p \S+ \S+ \S+ +/.*\n((?:\w+: .*\n)+)")
_CHANGED: Final = re.compile(r"(?m)^(Anonymous|Swap): +(\d+) kB$")
# Loaded with this module: a process that may open no file could not load it later.
_LIBC: Final = ctypes.CDLL(None)

Range = tuple[int, int]
"""An address, and how many bytes from there."""


def parse_pages(smaps: str) -> list[Range]:
    """Return where memory is as it is in its file, in the words of ``/proc/PID/smaps``. Pure.

    What the dynamic linker has written to, which is read-only afterwards, is not; nor is it when that was swapped out.
    """
    return [
        (int(start, 16), int(end, 16) - int(start, 16))
        for start, end, facts in _MAPPING.findall(smaps)
        if set(_CHANGED.findall(facts)) == {("Anonymous", "0"), ("Swap", "0")}
    ]


def read_pages() -> list[Range]:
    """Return the pages of this process that can go; none where the system does not tell. A forked process has them, too."""
    with suppress(OSError):
        return parse_pages(SMAPS.read_text())
    return []


def give_back(pages: Sequence[Range]) -> None:
    """Give back memory, as far as the system takes it; takes milliseconds, for which whoever allocates may have to wait.

    Args:
        pages: From ``read_pages``, of this process or of the one it was forked from.
    """
    for address, size in pages:
        _LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _MADV_DONTNEED)
    trim()


def trim() -> None:
    """Give back the free memory of the heap, also between what is in use; takes about a millisecond, as above."""
    _LIBC.malloc_trim(ctypes.c_size_t(0))
