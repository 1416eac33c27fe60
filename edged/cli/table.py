"""Aligned columns for people. Pure."""

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], *, indent: str = "") -> str:
    """Lay out rows in columns two spaces apart, a line each; the last column may be as long as it likes.

    Args:
        rows: Cells; rows may be of different lengths.
        indent: What each line begins with.
    """
    columns = max((len(row) for row in rows), default=0)
    widths = [max((len(row[i]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows)
    return "".join(f"{indent}{line}\n" for line in lines)


def printable(text: str) -> str:
    """Make text from outside safe for a terminal: what is not printable is written as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
