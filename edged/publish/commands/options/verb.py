"""How a verb or one of its actions is added to the command line, and how its text is laid out."""

import argparse
import re
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

Verbs = Any
"""What ``ArgumentParser.add_subparsers`` returns; its type is private to argparse."""

_ENTRY: Final = re.compile(r"( +\S.*?\s{2,})\S")
"""The first line of an indented entry of two columns, up to its second one."""
_NARROW: Final = 30
"""A column with less room than this is not wrapped: lines of a few words are worse than one that is too long."""


class PageFormatter(argparse.RawDescriptionHelpFormatter):
    """Fits texts to the terminal: paragraphs are filled, entries of two columns wrapped in the second one, other indented lines kept."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(f"{indent}{line}".rstrip() for line in _fitted(text, width - len(indent)))


def add_verb(verbs: Verbs, name: str, *, summary: str, text: str = "", example: str = "") -> argparse.ArgumentParser:
    """Add a verb. Its text may have paragraphs and indented lines; the example stands on a line of its own."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=text or summary,
        epilog=f"Example:\n  {example}" if example else None,
        formatter_class=PageFormatter,
    )
    return parser


def _fitted(text: str, width: int) -> Iterator[str]:
    for is_indented, lines in groupby(text.strip("\n").splitlines(), key=lambda line: line[:1].isspace() or not line):
        if not is_indented:
            yield from textwrap.wrap(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)
        else:
            for line in _entries(lines):
                yield from _wrapped(line, width)


def _entries(lines: Iterator[str]) -> Iterator[str]:
    """Join each entry with the lines that go on below its second column."""
    held: str | None = None
    column = 0
    for line in lines:
        if held is not None and column and line[:column].isspace() and line.strip():
            held += f" {line.strip()}"
            continue
        if held is not None:
            yield held
        held, column = line, _second_column(line)
    if held is not None:
        yield held


def _second_column(line: str) -> int:
    """Return where the second column of an entry begins; 0 for a line that is no entry."""
    match = _ENTRY.match(line)
    return len(match[1]) if match else 0


def _wrapped(line: str, width: int) -> list[str]:
    column = _second_column(line)
    if not column or width - column < _NARROW:
        return [line]
    body = textwrap.wrap(line[column:], width - column, break_long_words=False, break_on_hyphens=False)
    return [line[:column] + body[0], *(" " * column + more for more in body[1:])]
