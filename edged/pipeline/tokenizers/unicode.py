"""What steps on text know of characters, each rule for one stated version of Unicode, whatever version the interpreter knows.

A character that the stated version does not have is unassigned to the rule: it belongs to no category, nothing composes with it, and it
has no lower case. The programs that tokenizers are trained with follow several versions at once (``tokenizers`` of Hugging Face has
categories of 8 and 9, normalization of 12, newer regular expressions), and so do the rules here: otherwise a few hundred characters
would get other tokens than in training. That interpreters agree about the characters which all of these versions have is tested.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, Literal

from edged.pipeline.tokenizers.ages import NEW_IN_10_TO_12, UNICODE_12, UNICODE_14, Ranges

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
)
"""The characters with the property White_Space, the same 25 since Unicode 6.3. They stand for themselves in a class of ``re``."""


@cache
def _categories() -> dict[str, list[tuple[int, int]]]:
    """Ranges of characters of Unicode 14 by general category."""
    found: dict[str, list[tuple[int, int]]] = {}
    for first, last in UNICODE_14:
        begin, name = first, unicodedata.category(chr(first))
        for point in range(first + 1, last + 1):
            if (following := unicodedata.category(chr(point))) != name:
                found.setdefault(name, []).append((begin, point - 1))
                begin, name = point, following
        found.setdefault(name, []).append((begin, last))
    return found


def characters(*categories: str, among: Ranges = UNICODE_14) -> str:
    """Return all characters of some general categories as the inside of a class of ``re``.

    Args:
        categories: Two letters each, or one letter for all that begin with it. As in Unicode 14.
        among: The characters of the stated version.
    """
    return inside(
        (max(first, a), min(last, b))
        for name, ranges in _categories().items()
        if name in categories or name[0] in categories
        for first, last in ranges
        for a, b in among
        if first <= b and a <= last
    )


def inside(ranges: Iterable[tuple[int, int]]) -> str:
    """Write ranges of code points as the inside of a class of ``re``."""
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in sorted(ranges))


def replace(pattern: str, by: str) -> Callable[[str], str]:
    """Return what replaces the matches of an expression in a text."""
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(by, text)


def normalize_14(form: Form, text: str) -> str:
    """Normalize a text as Unicode 14 does."""
    return _apart(_NOT_IN_14, lambda part: unicodedata.normalize(form, part), text)


def normalize_12(form: Form, text: str) -> str:
    """Normalize a text with the compositions and decompositions of Unicode 12 and the combining classes of Unicode 9.

    A mark that is new in between stays where it is, and what stands before it does not combine with what comes after it. U+1F16C, new in
    Unicode 12, has no decomposition yet.
    """
    return _apart(_NOT_IN_12, lambda part: unicodedata.normalize(form, part), text)


def lower(text: str) -> str:
    """Return a text with each character in lower case by itself, as Unicode 14 has it (SpecialCasing.txt without conditions)."""
    # Python's own method follows the one condition for Greek: a sigma at the end of a word has another form.
    return _apart(_NOT_IN_14, lambda part: part.replace("\u03a3", "\u03c3").lower(), text)


def _apart(unknown: re.Pattern[str], change: Callable[[str], str], text: str) -> str:
    """Change a text between the characters that a rule does not know."""
    if text.isascii() or unknown.search(text) is None:
        return change(text)
    parts: list[str] = []
    end = 0
    for found in unknown.finditer(text):
        parts += (change(text[end : found.start()]), found.group())
        end = found.end()
    return "".join((*parts, change(text[end:])))


_NOT_IN_14: Final = re.compile(f"[^{inside(UNICODE_14)}]+")
_NEW_MARKS: Final = inside(
    (point, point)
    for first, last in NEW_IN_10_TO_12
    for point in range(first, last + 1)
    if unicodedata.combining(chr(point))
)
_NOT_IN_12: Final = re.compile(f"[^{inside(UNICODE_12)}]+|[\U0001f16c{_NEW_MARKS}]")
