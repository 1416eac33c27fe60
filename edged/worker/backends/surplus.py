"""Decides when a session gives memory back that it keeps for its next run. Pure.

ONNX Runtime's arena never shrinks by itself: after one large request a worker would stay as large for good. Measured with 1.32 on
x86-64, resident memory of the worker after one run of a small convolutional model with a large picture (1024 x 1024), and time of a run:

    arena as it is                  132 MB more than before     42 ms
    arena given back after a run      4 MB                      93 ms, for every page is new
    no arena                          0 MB                      97 ms
    small runs (16 x 16)            the same 15 us, whichever of them

So whoever asks the same all the time should keep what it needs, and whoever asked for much once should not.

A run that was stopped is nothing unusual: callers leave all the time. An arena that was given back grows again in other steps, into
whatever holes the heap has by then: with one run in fifty stopped, two threads with a 3 MB model had 10 to 40 MB in use, depending on luck,
and 10 MB all the time when nothing was given back for that.
"""

from typing import Final

MIN_BYTES: Final = 1 << 20
"""Tensors below this are not worth giving memory back: what a run needs beside them is a few times as much."""
MANY_TIMES: Final = 4.0
"""A run with so many times the usual bytes is an exception."""
MEMORY_RUNS: Final = 16
"""About how many of the latest runs decide what is usual."""


class Surplus:
    """What the runs of one session leave behind. Threads may call it at the same time: what they mix up is an estimate."""

    def __init__(self) -> None:
        self._usual = 0.0
        """Bytes of the inputs and outputs of a run, on average."""
        self._kept = 0.0
        """Bytes of the inputs and outputs of the largest run since memory was given back."""

    def begin(self, input_bytes: int) -> bool:
        """Tell whether a run that begins now should give back, at its end, what no run uses then."""
        most = max(self._kept, input_bytes)
        if most < MIN_BYTES or most <= MANY_TIMES * self._usual:
            return False
        self._kept = 0.0
        return True

    def end(self, input_bytes: int, output_bytes: int, *, gave_back: bool) -> None:
        """Note a run that ended; ``gave_back`` is what ``begin`` told it to do."""
        total = input_bytes + output_bytes
        self._usual = total if not self._usual else self._usual + (total - self._usual) / MEMORY_RUNS
        # Outputs are still in use when the run gives back.
        self._kept = max(self._kept, output_bytes if gave_back else total)

    def stop(self, input_bytes: int) -> None:
        """Note a run that was stopped: nobody knows how large its answer would have been."""
        self._kept = max(self._kept, input_bytes)

    def fail(self) -> None:
        """Note a run that failed: it may have taken any amount of memory, and failed for want of more."""
        self._kept = float("inf")
