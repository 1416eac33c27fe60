"""The limits in force, and memory for request bodies shared by all connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from edged.config.schema import ServeConfig
from edged.errors import UnavailableError

BODIES_AT_ONCE: Final = 4
"""How many bodies of the largest size may be in memory together."""


@dataclass(slots=True)
class LiveLimits:
    """The limits in force. A reload puts a new, complete, immutable value in ``current``; nobody keeps a copy across an await."""

    current: ServeConfig


class BodyMemory:
    """Bounds the bytes of all request bodies together, so that many callers cannot do what one may not."""

    def __init__(self, limits: LiveLimits) -> None:
        self._limits = limits
        self._reserved = 0

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Hold memory for one body for as long as the context lasts.

        Raises:
            UnavailableError: Other requests hold too much.
        """
        most = BODIES_AT_ONCE * self._limits.current.max_body_bytes
        if self._reserved + size_bytes > most:
            raise UnavailableError(
                "Other requests use all the memory for request bodies.", hint="Try again in a moment."
            )
        self._reserved += size_bytes
        try:
            yield
        finally:
            self._reserved -= size_bytes
