"""The first message on a connection of the tensor socket: who asks, for which model, with what memory.

Nothing is held for a connection but itself and one timer until its OPEN has come; what is wrong with that is said, and the connection
closed. So is one that says nothing for as long as HTTP allows for a header.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edged.errors import EdgedError, RequestError
from edged.runtime.refusals import refusal
from edged.tensor_socket import Error, Open, ProtocolError, VersionError, decode_to_server, encode
from edged.tensor_socket.messages import MAX_MESSAGE_BYTES

MAX_DESCRIPTORS: Final = 8
"""Of a message; one is right, and with a few more it can still be said what is wrong."""

Accept = Callable[[socket.socket, Open, int], None]
"""Takes a connection with its OPEN and the descriptor of its memory. Owns both from then on, unless it raises an ``EdgedError``."""


class Opening:
    """A connection that has not said yet what it wants.

    Args:
        connection: Owned from here on.
        accept: Takes it over once it has.
        over: Called once, when it was taken over or closed.
        timeout_s: For its first message.
    """

    def __init__(
        self, connection: socket.socket, *, accept: Accept, over: Callable[["Opening"], None], timeout_s: float
    ) -> None:
        self._connection = connection
        self._accept = accept
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)
        self._timer = self._loop.call_later(timeout_s, self._note_silence)

    def close(self) -> None:
        """Close the connection without a word."""
        self._leave()
        self._connection.close()

    def _read(self) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._connection, MAX_MESSAGE_BYTES + 1, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._leave()
        try:
            if data:
                self._take(data, descriptors, is_cut=bool(flags & socket.MSG_CTRUNC))
            else:
                self._connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _take(self, data: bytes, descriptors: list[int], *, is_cut: bool) -> None:
        """Hand a first message on; the descriptors that are left in the list afterwards are closed."""
        try:
            message = decode_to_server(data)
            if not isinstance(message, Open):
                raise RequestError("The first message has to be OPEN.")
            if len(descriptors) != 1 or is_cut:
                raise RequestError(
                    f"OPEN comes with exactly one descriptor, that of the memory; there are {len(descriptors)}.",
                    hint="Pass it by SCM_RIGHTS, with the same sendmsg(2).",
                )
            self._accept(self._connection, message, descriptors[0])
        except VersionError as exc:
            refuse(self._connection, Error(status=505, code="version-unsupported", message=str(exc), is_closing=True))
        except ProtocolError as exc:
            error = RequestError(f"Not a message of this protocol: {exc}.", hint="See docs/tensor-socket.md.")
            refuse(self._connection, refusal(error, is_closing=True))
        except EdgedError as exc:
            refuse(self._connection, refusal(exc, is_closing=True))
        else:
            descriptors.clear()

    def _note_silence(self) -> None:
        self._leave()
        error = RequestError("No OPEN came in time.", limit="serve.header_timeout_s")
        refuse(self._connection, refusal(error, is_closing=True))

    def _leave(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._connection)
        self._over(self)


def refuse(connection: socket.socket, error: Error) -> None:
    """Say why a connection is closed, and close it."""
    with suppress(OSError):
        connection.send(encode(error), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    connection.close()
