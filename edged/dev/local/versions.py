"""Versions of a developer's own models: that of the bundle, or 0.1.0, with ``-local.N`` at its end. Pure.

A version never changes its content, so each change of a file is another one. The name says to everybody who sees it, in answers, status
and history, that nobody has signed it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from edged.ids import Version

FIRST: Final = Version(0, 1, 0)
"""What a model is a version of that does not say."""
LOCAL: Final = "local"


def local_version(base: Version, number: int) -> Version:
    """Name the ``number``-th local version of what is published, or will be, as ``base``."""
    return replace(base, prerelease=(*base.prerelease, LOCAL, str(number)), build="")


def number_of(version: Version) -> int | None:
    """Return the number of a local version; None for another one."""
    match version.prerelease:
        case [*_, word, number] if word == LOCAL and number.isdigit():
            return int(number)
        case _:
            return None


def is_local_of(version: Version, base: Version) -> bool:
    """Tell whether a version is a local one of what is published, or will be, as ``base``."""
    number = number_of(version)
    return number is not None and version == local_version(base, number)


def newest(versions: Iterable[Version]) -> Version | None:
    """Return the local version that was made last; None when there is none."""
    numbered = [(number, version) for version in versions if (number := number_of(version)) is not None]
    return max(numbered, default=(0, None), key=lambda pair: pair[0])[1]


def next_number(versions: Iterable[Version]) -> int:
    """Return the number of the local version that comes after these."""
    last = newest(versions)
    return 1 if last is None else (number_of(last) or 0) + 1
