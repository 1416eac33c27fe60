"""Open a connection through the egress gate: CONNECT on its Unix socket, then TLS where the URL asks for it. Blocking."""

import http.client
import json
import socket
import ssl
from pathlib import Path

from edged.egress.request import METERED_FIELD, NAME_NOT_RESOLVED
from edged.errors import FetchError, GateRefusedError, HostUnreachableError, NameUnresolvedError, TlsError

_MAX_PROBLEM_BYTES = 1 << 16


class TunnelConnection(http.client.HTTPConnection):
    """An HTTP/1.1 connection to one origin, carried by the gate.

    Args:
        gate: The gate's socket.
        host: The origin's name.
        port: The origin's port.
        tls: How to verify the origin; None speaks plain HTTP.
        timeout_s: Longest wait for any one answer, of the gate or of the origin.
    """

    def __init__(self, gate: Path, host: str, port: int, *, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.is_metered: bool | None = None
        """Whether bytes cost money on this connection's way, as the gate says; None while it has not, or does not know."""
        self._gate = gate
        self._tls = tls
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Open the tunnel.

        Raises:
            GateRefusedError: The gate does not allow the destination.
            NameUnresolvedError: The host's name has no address.
            TlsError: The connection is not secure.
            HostUnreachableError: The gate, or the host behind it, does not answer otherwise.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self.sock.settimeout(self._timeout_s)
            self._open_tunnel()
            if self._tls is not None:
                self._shake_hands(self._tls)
        except BaseException:
            self.close()
            raise

    def _open_tunnel(self) -> None:
        where = f"{self.host}:{self.port}"
        try:
            self.sock.connect(str(self._gate))
            self.sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode())
            # Nothing follows a 200 until we speak, so the reader's buffer takes nothing of what comes after.
            with http.client.HTTPResponse(self.sock, method="CONNECT") as answer:
                answer.begin()
                status = answer.status
                self.is_metered = {"?1": True, "?0": False}.get(answer.getheader(METERED_FIELD, ""))
                body = b"" if status == 200 else answer.read(_MAX_PROBLEM_BYTES)
        except (OSError, http.client.HTTPException) as exc:
            raise HostUnreachableError(
                f"the egress gate at {self._gate} does not answer: {exc}", hint="Check: systemctl status edged-egress."
            ) from exc
        if status != 200:
            raise _refusal(where, status, body)

    def _shake_hands(self, tls: ssl.SSLContext) -> None:
        try:
            self.sock = secure = tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            secure.do_handshake()
        except ssl.SSLCertVerificationError as exc:
            raise TlsError(
                f"the certificate of {self.host} is not valid: {exc.verify_message}",
                hint="Check the clock and the CA certificates; a captive portal may be in the way.",
            ) from exc
        except TimeoutError as exc:
            raise HostUnreachableError(f"{self.host} does not answer: {exc}", hint="Check the network.") from exc
        except OSError as exc:
            raise TlsError(
                f"no TLS with {self.host}: {exc}",
                hint="Check repository.url: its port may not speak TLS; or something on the way breaks it.",
            ) from exc


def _refusal(where: str, status: int, body: bytes) -> FetchError:
    try:
        problem = json.loads(body)
        detail, reason = str(problem["detail"]), str(problem["reason"])
    except (ValueError, KeyError, TypeError):
        detail, reason = f"status {status}", ""
    if status == 403:
        return GateRefusedError(
            f"the egress gate refuses {where}: {detail}",
            hint="List the host under [egress] allow, or allow_private for a host on the site's own network.",
            destination=where,
        )
    if reason == NAME_NOT_RESOLVED:
        return NameUnresolvedError(
            f"{where} cannot be reached: {detail}",
            hint="Check the name in repository.url, and the name servers of this network.",
            destination=where,
        )
    return HostUnreachableError(
        f"{where} cannot be reached: {detail}", hint="Check the network and the host's name.", destination=where
    )
