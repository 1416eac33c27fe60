"""Small types for names and numbers that must not be mixed up."""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Final, Literal, NewType, Self

Digest = NewType("Digest", str)
"""SHA-256 as 64 lower-case hexadecimal digits."""

ModelName = NewType("ModelName", str)
"""Lower-case letters, digits, dot, dash and underscore; begins with a letter or digit; at most 63 characters."""

SlotName = Literal["a", "b"]

# Patterns are shared with JSON Schema, which has no \Z. Python's $ also matches before a final newline, hence (?!\n).
DIGEST_PATTERN: Final = r"^[0-9a-f]{64}$(?!\n)"
MODEL_NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)"

# The expression suggested by semver.org 2.0.0, without named groups so that JSON Schema can carry it too.
VERSION_PATTERN: Final = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$(?!\n)"
)


@total_ordering
@dataclass(frozen=True, slots=True)
class Version:
    """A semantic version (semver.org 2.0.0), ordered by precedence; build metadata does not take part in order."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1.2.3-rc.1+build``.

        Raises:
            ValueError: The text is not a semantic version.
        """
        match = re.fullmatch(VERSION_PATTERN, text)
        if match is None:
            raise ValueError(f"not a semantic version: {text!r}")
        major, minor, patch, prerelease, build = match.groups()
        return cls(int(major), int(minor), int(patch), tuple(prerelease.split(".")) if prerelease else (), build or "")

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        return f"{text}+{self.build}" if self.build else text

    def __lt__(self, other: "Version") -> bool:
        return self._precedence() < other._precedence()

    def _precedence(self) -> tuple[object, ...]:
        # Clause 11: numbers sort before words, a prerelease sorts before its release.
        parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.prerelease)
        return (self.major, self.minor, self.patch, not self.prerelease, parts)
