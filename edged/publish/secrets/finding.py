"""What a scan reports: which rule, where, and enough of the place to recognise it, never the secret itself. Pure."""

import hashlib
from dataclasses import dataclass

from edged.ids import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place that looks like a secret."""

    rule: str
    """The rule's name."""
    what: str
    """What it looks like, for people."""
    path: str
    """The bundle's file; a file in an archive follows after an exclamation mark."""
    offset: int
    """Byte at which it begins, from the beginning of the file (or of the file in the archive)."""
    line: int | None
    """Its line, counted from 1; None in a binary file."""
    excerpt: str
    """What stands before the secret, and how long the secret is."""
    file_sha256: Digest
    """Of the bundle's file."""

    @property
    def fingerprint(self) -> str:
        """Name this finding so that it can be allowed.

        It changes with every change of the file. It is made from the file and the place and not from the secret, because it is
        shown in logs, and what is known about a short secret can be guessed.
        """
        text = "\0".join((self.rule, self.path, self.file_sha256, str(self.offset)))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def __str__(self) -> str:
        place = f"{self.path}, byte {self.offset}" + (f", line {self.line}" if self.line is not None else "")
        return f"{place}: {self.what} ({self.rule}): {self.excerpt}"
