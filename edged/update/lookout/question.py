"""Ask the repository's host for its timestamp, unless that is still the one that is known here: some hundred bytes when it is.

There is an answer only when it is certain: the host says that nothing has changed since it sent those very bytes, or it sends a whole
file. Why there is none, or what is wrong with the gate, is not judged here: the refresh that follows names the trouble.
"""

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from edged import __version__
from edged.clock import Clock
from edged.http_head import AnswerError, parse_head
from edged.update.lookout.answer import Answer, parse_answer
from edged.update.waits.line import Line
from edged.update.waits.waiting import Waits

if TYPE_CHECKING:
    import ssl

LOG = logging.getLogger(__name__)

TIMESTAMP: Final = "metadata/timestamp.json"
_PORTS: Final = {"http": 80, "https": 443}
_VALIDATORS: Final = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
"""What a host calls the state of a file, the better first, and how it is asked whether that is still so (RFC 9110, section 13.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the host sent last, and what it called it."""

    data: bytes
    conditions: dict[str, str]


class Question:
    """The question, and the connection it is asked on, which is kept for the next time.

    Args:
        url: The repository, with a slash at its end.
        gate: The gate's socket.
        timeout_s: Longest time for one question.
        waits: Where to wait for the answer.
        clock: Monotonic, for the time.
        tls: How to verify the host; the system's CA certificates unless a test brings others.
    """

    def __init__(
        self,
        *,
        url: str,
        gate: Path,
        timeout_s: float,
        waits: Waits,
        clock: Clock,
        tls: "ssl.SSLContext | None" = None,
    ) -> None:
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._named = self._host if parts.port in {None, _PORTS[parts.scheme]} else f"{self._host}:{parts.port}"
        self._path = f"{parts.path}{TIMESTAMP}"
        self._gate = gate
        self._timeout_s = timeout_s
        self._waits = waits
        self._clock = clock
        self._tls = tls
        self._line: Line | None = None
        self._seen = _Seen(data=b"", conditions={})

    def fetch(self, known: bytes) -> bytes | None:
        """Return what the host certainly has for a timestamp now, true or not; None when nothing is certain.

        Args:
            known: What it had before; it is sent again only when it changed.

        Raises:
            StopAskedError: The process was told to stop.
        """
        deadline_s = self._clock.monotonic_s() + self._timeout_s
        # The host may close a kept connection at any time; nothing was answered then, so it is asked once more.
        for may_be_stale in (True, False) if self._line is not None else (False,):
            try:
                return self._ask(known, deadline_s)
            except (OSError, ValueError) as exc:
                LOG.debug("no use of the answer: %s", exc)
                self.close()
                if not may_be_stale or isinstance(exc, (TimeoutError, ValueError)):
                    break
            except BaseException:
                self.close()  # the wait was ended; what still comes would be taken for the next answer
                raise
        return None

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _ask(self, known: bytes, deadline_s: float) -> bytes:
        if self._line is None:
            self._line = self._connect(deadline_s)
        conditions = self._seen.conditions if self._seen.data == known else {}
        self._line.send(self._request(conditions), deadline_s=deadline_s)
        answer = self._receive(self._line, deadline_s)
        if answer.ends_connection:
            self.close()
        match answer.head.status:
            case 304 if conditions:
                return known
            case 200:
                self._seen = _Seen(data=answer.body, conditions=_conditions(answer.head.fields))
                return answer.body
            case status:
                raise AnswerError(f"status {status}")

    def _request(self, conditions: dict[str, str]) -> bytes:
        fields = {
            "Host": self._named,
            "User-Agent": f"edged/{__version__}",
            "Accept-Encoding": "identity",
            **conditions,
        }
        lines = [f"GET {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _receive(self, line: Line, deadline_s: float) -> Answer:
        data = b""
        while (answer := parse_answer(data)) is None:
            data += _block(line, deadline_s)
        return answer

    def _connect(self, deadline_s: float) -> Line:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            line = Line(connection, self._waits)
            # Does not block either: a gate that is too busy to accept refuses at once.
            connection.connect(str(self._gate))
            self._open_tunnel(line, deadline_s)
            if not self._is_secure:
                return line
            from edged.update.waits.secure_line import SecureLine  # noqa: PLC0415 - TLS is large, and not everybody needs it

            return SecureLine(connection, self._waits, host=self._host, deadline_s=deadline_s, tls=self._tls)
        except BaseException:
            connection.close()
            raise

    def _open_tunnel(self, line: Line, deadline_s: float) -> None:
        where = f"{self._host}:{self._port}"
        line.send(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode(), deadline_s=deadline_s)
        data = b""
        while (parsed := parse_head(data)) is None:
            data += _block(line, deadline_s)
        head, rest = parsed
        if head.status != 200 or rest:
            raise AnswerError(f"the gate answers with status {head.status}")


def _conditions(fields: Mapping[str, str]) -> dict[str, str]:
    """Return how to ask next time for a file only if it is no longer the one that came with these fields."""
    # Hosts make both validators from the time of the file, in seconds. What was written in this very second may be written once more
    # in it, and would be called the same.
    if "date" in fields and fields.get("last-modified") == fields["date"]:
        return {}
    return next(({ask: fields[said]} for said, ask in _VALIDATORS.items() if said in fields), {})


def _block(line: Line, deadline_s: float) -> bytes:
    block = line.receive(deadline_s=deadline_s)
    if not block:
        raise ConnectionResetError("the connection ended before the answer")
    return block
