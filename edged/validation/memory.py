"""How much memory a model needs beyond what any worker has: measured from outside while its worker answers, read from /proc.

A worker is forked from a template that has the runtime imported, and begins with all of the template's memory. What it has more of its
own is what the model and its pipeline brought: weights, what the runtime works with, and modules that only this pipeline needs. So

    needed = (most memory of its own while it answers) - (the template's memory of its own)

where memory of its own is anonymous: in RAM or swapped out, and no page of a file or of memory shared with others. Not in it are pages
of libraries, which all workers share and the system can take back; the tensors of requests in shared memory; and what loading needed
and gave back before the first request.

The most is the larger of two figures. One is read after each answer. The other is the kernel's own record of the most pages in memory
(``VmHWM``, set back before the first request), less the pages of files and of shared memory there were at most: it also sees what a run
takes and gives back. Both are never too high. They may be too low by the pages of files that came in after the peak (libraries settle
within the first runs: up to about 10 MB), and by memory that the process had before its fork and has freed since. Where the kernel does
not let the record be set back, a peak within a run counts only when it is higher than all before.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

PROC: Final = Path("/proc")
_NAMES: Final = ("PPid", "VmHWM", "VmSwap", "RssAnon", "RssFile", "RssShmem")
_FIGURE: Final = re.compile(rf"(?m)^({'|'.join(_NAMES)}):\s+(\d+)(?: kB)?$")
_RESET_PEAK: Final = "5"
"""What ``/proc/PID/clear_refs`` takes for setting ``VmHWM`` back to what is resident now; see proc_pid_clear_refs(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What /proc/PID/status says about the memory of a process, in bytes."""

    parent: int
    own: int
    """Anonymous, resident or swapped out."""
    others: int
    """Resident pages of files and of shared memory."""
    highest: int
    """Most resident pages of all kinds since the process began, or since this was set back."""

    @classmethod
    def parse(cls, status: str) -> Self | None:
        """Read the text of ``status``; None for a process that has no memory any more, which is said by leaving the lines out."""
        found = {name: int(number) for name, number in _FIGURE.findall(status)}
        if found.keys() != set(_NAMES):
            return None
        kib = {name: number << 10 for name, number in found.items()}
        return cls(
            parent=found["PPid"],
            own=kib["RssAnon"] + kib["VmSwap"],
            others=kib["RssFile"] + kib["RssShmem"],
            highest=kib["VmHWM"],
        )


class MemoryMeter:
    """Measures one worker; begun when it has its model loaded and has not been asked anything.

    Args:
        pid: The worker's.
        proc: Where /proc is.
    """

    def __init__(self, pid: int, *, proc: Path = PROC) -> None:
        self._proc = proc
        self._pid = pid
        self._readings: list[Figures] = []
        begin = _read(proc, pid)
        self._bare = _read(proc, begin.parent) if begin is not None else None
        self._is_reset = self._reset_peak()
        self._before = 0 if self._is_reset or begin is None else begin.highest
        self.read()

    @property
    def needed_bytes(self) -> int | None:
        """Most that was needed so far; None where the system does not tell."""
        if self._bare is None or not self._readings:
            return None
        own = max(reading.own for reading in self._readings)
        highest = max(reading.highest for reading in self._readings)
        within_runs = highest - max(reading.others for reading in self._readings) if highest > self._before else 0
        return max(own, within_runs, self._bare.own) - self._bare.own

    def read(self) -> None:
        """Read the figures; called after each answer. Reading takes a fraction of a millisecond."""
        if (figures := _read(self._proc, self._pid)) is not None:
            self._readings.append(figures)

    def _reset_peak(self) -> bool:
        try:
            (self._proc / str(self._pid) / "clear_refs").write_text(_RESET_PEAK, encoding="ascii")
        except OSError:
            return False
        return True


def _read(proc: Path, pid: int) -> Figures | None:
    try:
        return Figures.parse((proc / str(pid) / "status").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
