"""Accepts connections of the tensor socket, as many as there may be, and waits for the first word of each."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from edged.config.schema import ServeConfig
from edged.daemon.tensors.tensor_opening import Accept, Opening, refuse
from edged.errors import UnavailableError
from edged.runtime.refusals import refusal

LOG = logging.getLogger(__name__)

ACCEPT_AT_ONCE: Final = 16
ACCEPT_AGAIN_S: Final = 1.0
"""When descriptors have run out."""


class Door:
    """A listening socket, and those who have connected to it and not said yet what they want.

    Args:
        listener: Stays the caller's.
        accept: Takes those who have.
        inside: Called for the number of connections beyond the door.
        limits: Called for the limits in force.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        accept: Accept,
        inside: Callable[[], int],
        limits: Callable[[], ServeConfig],
    ) -> None:
        self._listener = listener
        self._take = accept
        self._inside = inside
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._openings: set[Opening] = set()
        self._is_open = False

    def __len__(self) -> int:
        """Return how many stand in it."""
        return len(self._openings)

    def open(self) -> None:
        """Begin to accept."""
        self._is_open = True
        self._listener.settimeout(0)
        self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept nobody any more, and close the connections of those who stand in it."""
        self._is_open = False
        self._loop.remove_reader(self._listener)
        for opening in tuple(self._openings):
            opening.close()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as exc:
                LOG.warning("The tensor socket does not accept connections for now: %s", exc.strerror)
                self._loop.remove_reader(self._listener)
                self._loop.call_later(ACCEPT_AGAIN_S, self._accept_again)
                return
            connection.settimeout(0)
            limits = self._limits()
            if len(self) + self._inside() >= limits.max_connections:
                error = UnavailableError("There are too many connections.", limit="serve.max_connections")
                refuse(connection, refusal(error, is_closing=True))
                continue
            self._openings.add(
                Opening(connection, accept=self._take, over=self._openings.discard, timeout_s=limits.header_timeout_s)
            )

    def _accept_again(self) -> None:
        if self._is_open:
            self._loop.add_reader(self._listener, self._accept)
