"""A line inside TLS. A module of its own, which only a repository behind https needs: a mirror on the site's own network may do without."""

import os
import socket
import ssl

from edged.update.waits.line import Line
from edged.update.waits.waiting import Direction, Waits


class SecureLine(Line):
    """A stream of bytes whose other end has shown that it is the host.

    Args:
        connection: Open, and nothing sent yet.
        waits: Where to wait for it.
        host: The name that the other end has to have a certificate for.
        deadline_s: When the handshake has to be complete, monotonic seconds.
        tls: How to verify the host; the system's CA certificates unless a test brings others.

    Raises:
        TimeoutError: No handshake in time.
        OSError: The connection broke, or the other end is somebody else.
    """

    def __init__(
        self,
        connection: socket.socket,
        waits: Waits,
        *,
        host: str,
        deadline_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        connection.settimeout(0)
        context = tls or _system_tls()
        secure = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
        super().__init__(secure, waits)
        try:
            self._do(secure.do_handshake, "read", deadline_s=deadline_s)
        except BaseException:
            self.close()
            raise

    def _wanted(self, error: OSError, to: Direction) -> Direction | None:
        """Translate what TLS wants: it may have to write in order to read, and the other way round."""
        if isinstance(error, ssl.SSLWantReadError):
            return "read"
        if isinstance(error, ssl.SSLWantWriteError):
            return "write"
        return super()._wanted(error, to)


def _system_tls() -> ssl.SSLContext:
    """Trust the system's CA certificates, from their directory where there is one, which is read only as far as it is needed.

    The file with all of them would take more than a megabyte for as long as the process lives.
    """
    paths = ssl.get_default_verify_paths()
    directory = None if paths.openssl_cafile_env in os.environ else paths.capath
    return ssl.create_default_context(capath=directory)
