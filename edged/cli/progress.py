"""Progress of long work on standard error: one line that is written anew on a terminal, a line for each change of matter elsewhere."""

import sys
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TextIO

from edged.cli.table import printable
from edged.cli.update_page import describe_progress
from edged.update.protocol.messages import Step

_TO_LINE_START: Final = "\r\x1b[K"
PARTS: Final = 10
"""Of a download, each of which is worth a line where lines stay."""


class ProgressLine:
    """Shows the steps of the updater, as long as somebody looks. A context manager, which leaves a terminal with an empty line.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._said: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_terminal and self._said is not None:
            self._write(_TO_LINE_START)

    def __call__(self, step: Step) -> None:
        """Show a step."""
        text = printable(step.phase if step.progress is None else describe_progress(step.progress))
        if self._is_terminal:
            self._said = text
            self._write(f"{_TO_LINE_START}{text}")
        elif (matter := _matter(step)) != self._said:
            self._said = matter
            self._write(f"{text}\n")

    def _write(self, text: str) -> None:
        # Whether steps can be shown changes nothing about what becomes of them.
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


def _matter(step: Step) -> tuple[object, ...]:
    """Return what has to change for another line."""
    progress = step.progress
    if progress is None:
        return (step.phase,)
    part = PARTS * progress.received_bytes // max(1, progress.total_bytes)
    return (step.phase, progress.model, progress.version, part)
