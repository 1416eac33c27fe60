"""HTTP over a Unix socket for edgectl, with answers as documents and problem bodies as the errors they were.

Only the standard library speaks HTTP here: edgectl starts often and should start fast.
"""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from edged.codec import decode_json
from edged.errors import DaemonUnreachableError, EdgedError, NotPermittedError
from edged.problems import error_from_body

T = TypeVar("T")

TIMEOUT_S: Final = 60.0
"""Longest wait for any part of an answer; above the longest time the daemon gives a request by default."""
MAX_REPLY_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that is not an error."""

    headers: Mapping[str, str]
    body: bytes


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a path instead of a host."""

    def __init__(self, path: str, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """Asks the daemon; a new connection for each question, so that a daemon that restarted in between is not noticed."""

    def __init__(self, socket_path: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.socket_path = socket_path
        self._timeout_s = timeout_s

    def get(self, path: str, type_: type[T]) -> T:
        """Read a document.

        Raises:
            EdgedError: As ``request`` does; or the answer is not such a document.
        """
        return decode_json(type_, self.request("GET", path).body, source=path)

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Ask once.

        Args:
            method: GET or POST.
            path: With its query, already escaped.
            body: What to send.
            headers: To send beside those of HTTP itself.

        Raises:
            DaemonUnreachableError: Nothing answers at the socket.
            NotPermittedError: This user may not open the socket, or may not ask this.
            EdgedError: What the daemon answered, as the class it has there.
        """
        connection = UnixConnection(self.socket_path, timeout_s=self._timeout_s)
        try:
            response = self._exchange(connection, method, path, body, dict(headers or {}))
            # One byte more than is taken shows that there is more.
            content = response.read(MAX_REPLY_BYTES + 1)
        except PermissionError as exc:
            hint = (
                "Apps need to be in group edged, administrators in edged-admin: adduser USER GROUP, then log in again."
            )
            raise NotPermittedError(f"This user may not open {self.socket_path}.", hint=hint) from exc
        except (OSError, http.client.HTTPException) as exc:
            hint = "systemctl status edged says whether it runs; --socket names another socket."
            why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            raise DaemonUnreachableError(
                f"The daemon does not answer at {self.socket_path}: {why}.", hint=hint
            ) from exc
        finally:
            connection.close()
        if len(content) > MAX_REPLY_BYTES:
            raise EdgedError(f"The daemon's answer is larger than {MAX_REPLY_BYTES} bytes.")
        if response.status >= 400:
            retry_after = response.getheader("Retry-After", "")
            raise error_from_body(
                response.status, content, retry_after_s=int(retry_after) if retry_after.isdigit() else None
            )
        return Reply(headers={key.lower(): value for key, value in response.getheaders()}, body=content)

    @staticmethod
    def _exchange(
        connection: UnixConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, path, body=body, headers=headers)
        except BrokenPipeError:
            # A daemon that refuses a body stops reading it; why is in its answer, which is already here.
            if connection.sock is None:
                raise
            response = http.client.HTTPResponse(connection.sock, method=method)
            response.begin()
            return response
        return connection.getresponse()
