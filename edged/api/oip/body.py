"""A request's body where it lies: in the daemon's own memory when it is small, in memory shared with the model's worker when it is large.

What is received into shared memory is the body as it was sent, at a place chosen from its headers alone: so that its first binary tensor
is aligned, and a body that is one element of BYTES has room before it for the length that such elements begin with. Both save a copy.
"""

from dataclasses import dataclass
from typing import Final

from edged.pipeline.datatypes import LENGTH

ALIGNMENT: Final = 64
"""Bytes; no runtime asks for more, and no datatype is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """All the bytes of a request's body."""

    content: memoryview
    memory: memoryview | None = None
    """The shared memory that ``content`` is a part of; None when it is in none."""
    offset: int = 0
    """Where in ``memory`` it begins."""

    def place(self, start: int) -> int | None:
        """Return where in shared memory a part of the content begins; None when it is in none."""
        return None if self.memory is None else self.offset + start

    def as_element(self) -> tuple[bytes | memoryview, int | None]:
        """Return all of it as one element of BYTES with its length, and where in shared memory that begins."""
        length = LENGTH.pack(len(self.content))
        start = self.offset - LENGTH.size
        if self.memory is None or start < 0:
            return length + self.content, None
        self.memory[start : self.offset] = length
        return self.memory[start : self.offset + len(self.content)], start


def offset_for(header_length: int | None) -> int:
    """Choose where in shared memory a body begins; at most ``ALIGNMENT``.

    Args:
        header_length: Bytes of JSON before the first tensor; None when all of the body is JSON.
    """
    return 0 if header_length is None else ALIGNMENT - header_length % ALIGNMENT
