"""Read what a FlatBuffer says, by the numbers of its fields (flatbuffers.dev, "FlatBuffer internals"); every offset is checked."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass


class FlatBufferError(ValueError):
    """An offset leads out of the buffer."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table in a buffer; fields are numbered from 0 in the order of the schema."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the table that a buffer is."""
        return cls(data, _number(data, 0, "<I"))

    def table(self, field: int) -> "Table | None":
        """Return the table in a field."""
        at = self._field(field)
        return None if at is None else Table(self.data, _follow(self.data, at))

    def tables(self, field: int) -> list["Table"]:
        """Return the tables of a vector."""
        return [Table(self.data, _follow(self.data, at)) for at in self._elements(field, 4)]

    def numbers(self, field: int, code: str = "<i") -> list[int]:
        """Return the numbers of a vector; ``code`` as in ``struct``."""
        return [_number(self.data, at, code) for at in self._elements(field, struct.calcsize(code))]

    def number(self, field: int, code: str) -> int:
        """Return a number; 0 where it is not given."""
        at = self._field(field)
        return 0 if at is None else _number(self.data, at, code)

    def text(self, field: int) -> str:
        """Return a text; empty where it is not given."""
        at = self._field(field)
        if at is None:
            return ""
        start = _follow(self.data, at)
        length = _number(self.data, start, "<I")
        if start + 4 + length > len(self.data):
            raise FlatBufferError(f"a text at byte {start} is cut off")
        return self.data[start + 4 : start + 4 + length].decode("utf-8", "replace")

    def _field(self, field: int) -> int | None:
        layout = self.at - _number(self.data, self.at, "<i")
        place = 4 + 2 * field
        if place >= _number(self.data, layout, "<H"):
            return None
        offset = _number(self.data, layout + place, "<H")
        return self.at + offset if offset else None

    def _elements(self, field: int, size: int) -> Iterator[int]:
        at = self._field(field)
        if at is None:
            return
        start = _follow(self.data, at)
        count = _number(self.data, start, "<I")
        if start + 4 + count * size > len(self.data):
            raise FlatBufferError(f"a list at byte {start} is cut off")
        yield from range(start + 4, start + 4 + count * size, size)


def _follow(data: bytes, at: int) -> int:
    return at + _number(data, at, "<I")


def _number(data: bytes, at: int, code: str) -> int:
    if not 0 <= at <= len(data) - struct.calcsize(code):
        raise FlatBufferError(f"byte {at} is outside of the {len(data)} there are")
    number: int = struct.unpack_from(code, data, at)[0]
    return number
