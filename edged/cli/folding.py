"""Pages on a terminal: what is wider than it goes on below the beginning of its column. What a program reads is left as it is."""

import re
import shutil
import sys
import textwrap
from typing import Final

_COLUMN: Final = re.compile(r"(?<=  )\S")
"""Where a column begins: pages keep columns two spaces apart at least."""
_MOST_BEFORE: Final = 0.6
"""Share of the width that columns before the folded one may take; with less left, lines of a few words would be hard to read."""
_INDENT: Final = 4


def fitted(page: str) -> str:
    """Return a page as standard output should have it: folded to the width of the terminal where it is one."""
    return folded(page, shutil.get_terminal_size().columns) if sys.stdout.isatty() else page


def folded(page: str, width: int) -> str:
    """Fold the lines of a page that are wider than a terminal. Pure.

    Args:
        page: Lines, each with its line break.
        width: Of the terminal, in characters.
    """
    return "".join(f"{part}\n" for line in page.splitlines() for part in _parts(line, width))


def _parts(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    begins = [match.start() for match in _COLUMN.finditer(line) if match.start() <= _MOST_BEFORE * width]
    indent = len(line) - len(line.lstrip())
    column = begins[-1] if begins and begins[-1] > indent else min(indent + _INDENT, width // 2)
    return textwrap.wrap(
        line, width, subsequent_indent=" " * column, break_long_words=False, break_on_hyphens=False
    ) or [line]
