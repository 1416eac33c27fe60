"""Fetch files of the repository's host through the egress gate, over one kept-alive connection. Blocking.

The host is not trusted, only bounded: every body has a size limit or a slowest rate, and anything that is not the plain answer of a
static file server (redirects, web pages, compressed bodies) is an error with a name. What the bytes mean is for others to verify.
"""

import http.client
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadHTTPError, DownloadLengthMismatchError
from tuf.ngclient.fetcher import FetcherInterface

from edged import __version__
from edged.clock import Clock
from edged.errors import FetchError, FileMissingError, HostUnreachableError, PortalError, ProxyError
from edged.http_head import read_size
from edged.update.origins.origin import Origin, Stream
from edged.update.origins.tunnel import TunnelConnection

LOG = logging.getLogger(__name__)

BLOCK_BYTES: Final = 1 << 16
_SKIPPED_BODY_BYTES: Final = 1 << 16
_PORTAL_HINT: Final = "A captive portal or login page may be in the way; check the network and repository.url."
_STALE: Final = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)


class Host:
    """The repository's host.

    Args:
        gate: The gate's Unix socket.
        timeout_s: Longest wait for any one answer.
        clock: For the slowest rate.
        min_bytes_per_s: A host that sends less for longer than the timeout is given up; 0 takes any rate.
        tls: How to verify the host; the system's CA certificates unless a test brings others.
        on_answer: Called whenever something came from the host: the sign of progress.
        on_bytes: Told how many bytes of a body came, right or wrong, before anybody gets them. What it raises ends that answer and
            comes out where the body is read, so a budget can refuse to go on.
    """

    def __init__(
        self,
        *,
        gate: Path,
        timeout_s: float,
        clock: Clock,
        min_bytes_per_s: int = 256,
        tls: ssl.SSLContext | None = None,
        on_answer: Callable[[], None] = lambda: None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._gate = gate
        self._min_bytes_per_s = min_bytes_per_s
        self._on_answer = on_answer
        self._on_bytes = on_bytes
        self._timeout_s = timeout_s
        self._clock = clock
        self._tls = tls
        self.is_metered: bool | None = None
        """Whether bytes cost money, as the gate said with the last connection; None before one, and where it does not know."""
        self._origin: tuple[str, str, int] | None = None
        self._connection: TunnelConnection | None = None

    @contextmanager
    def open(self, url: str, *, first_byte: int | None = None, last_byte: int | None = None) -> Iterator[Stream]:
        """Request a file, or a range of it; the body is received while the context is open.

        Args:
            url: Absolute, http or https.
            first_byte: Where the range starts; None asks for the whole file. The host may ignore it: look at ``Stream.start``.
            last_byte: The last byte of the range, inclusive.

        Raises:
            GateRefusedError: The gate does not allow the host.
            HostUnreachableError: The host does not answer, or the connection broke.
            FileMissingError: 403, 404 or 410.
            PortalError: A page for people, or a redirect.
            FetchError: Any other answer that is not a file.
        """
        fields = {} if first_byte is None else {"Range": f"bytes={first_byte}-{last_byte}"}
        response = self._request(url, fields)
        try:
            if response.status not in {200, 206, 416} or _is_page(response):
                self._skip(response)
                raise _unexpected(url, response)
            yield self._stream(url, response, first_byte)
        finally:
            if not response.isclosed() or response.will_close:  # the rest of the body would be read as the next answer
                self.close()
            response.close()  # of one without a length, it alone has the socket

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Fetch a whole small file.

        Raises:
            DownloadLengthMismatchError: It has more than ``max_bytes`` bytes; python-tuf's own class, as its updater expects.
            FetchError: As ``open``.
        """
        with self.open(url) as stream:
            body = bytearray()
            for block in stream.blocks:
                body += block
                if len(body) > max_bytes:
                    raise DownloadLengthMismatchError(f"{url} has more than {max_bytes} bytes")
            return bytes(body)

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _request(self, url: str, fields: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        if self._origin != origin:
            self.close()
            self._origin = origin
        is_reused = self._connection is not None
        try:
            return self._send(origin, parts.path, fields)
        except _STALE as exc:
            self.close()
            if not is_reused:
                raise _lost(url, exc) from exc
        # The host closed a kept-alive connection while it was idle: nothing was answered, so ask once more.
        try:
            return self._send(origin, parts.path, fields)
        except (OSError, http.client.HTTPException) as exc:
            raise _lost(url, exc) from exc

    def _send(self, origin: tuple[str, str, int], path: str, fields: Mapping[str, str]) -> http.client.HTTPResponse:
        scheme, host, port = origin
        if self._connection is None:
            if scheme == "https" and self._tls is None:
                self._tls = ssl.create_default_context()  # not before: it reads all authorities that this device trusts
            tls = self._tls if scheme == "https" else None
            self._connection = TunnelConnection(self._gate, host, port, tls=tls, timeout_s=self._timeout_s)
        always = {"User-Agent": f"edged/{__version__}", "Accept-Encoding": "identity"}
        try:
            self._connection.request("GET", path, headers={**always, **fields})
            self.is_metered = self._connection.is_metered
            response = self._connection.getresponse()
        except _STALE:
            raise
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            raise _lost(host + path, exc) from exc
        self._on_answer()
        return response

    def _stream(self, url: str, response: http.client.HTTPResponse, first_byte: int | None) -> Stream:
        if response.status == 416:  # the file ends before the range: an empty body, and the size tells why
            self._skip(response)
            total = (response.getheader("Content-Range") or "").rpartition("/")[2]
            return Stream(start=first_byte or 0, total=read_size(total), blocks=iter(()))
        start, total_bytes = _position(url, response, first_byte=first_byte)
        return Stream(start=start, total=total_bytes, blocks=self._blocks(url, response))

    def _blocks(self, url: str, response: http.client.HTTPResponse) -> Iterator[bytes]:
        started_s = self._clock.monotonic_s()
        received = 0
        expected = response.length
        # Counted here: Python 3.11's read1 does not know when the body is complete and would wait for more.
        while expected is None or received < expected:
            try:
                block = response.read1(BLOCK_BYTES if expected is None else min(BLOCK_BYTES, expected - received))
            except (OSError, http.client.HTTPException) as exc:
                raise _lost(url, exc) from exc
            if not block:
                break
            received += len(block)
            self._on_answer()
            self._on_bytes(len(block))
            yield block
            self._check_rate(url, received, self._clock.monotonic_s() - started_s)
        if expected is not None and received < expected:
            raise HostUnreachableError(f"{url} ended after {received} of {expected} bytes", hint="Check the network.")
        response.close()

    def _check_rate(self, url: str, received_bytes: int, elapsed_s: float) -> None:
        slowest = self._min_bytes_per_s
        if slowest and elapsed_s > self._timeout_s + received_bytes / slowest:
            raise HostUnreachableError(
                f"{url} comes too slowly: {received_bytes} bytes in {elapsed_s:.0f} s",
                hint=f"Check the network; update.min_bytes_per_s is {slowest}. What came is kept.",
                url=url,
            )

    def _skip(self, response: http.client.HTTPResponse) -> None:
        """Read a small body that nobody wants, so that the connection can be used again."""
        if response.length is not None and response.length <= _SKIPPED_BODY_BYTES:
            try:
                response.read()
            except (OSError, http.client.HTTPException) as exc:
                LOG.debug("body of an error not read: %s", exc)


class GateFetcher(FetcherInterface):
    """What python-tuf fetches metadata with.

    Args:
        host: Shared with everything else that fetches from the same place.
    """

    def __init__(self, host: Origin) -> None:
        self._host = host

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Fetch one metadata file into memory; the inherited one goes through a temporary file.

        Raises:
            DownloadHTTPError: The host has no such file.
            DownloadLengthMismatchError: It is longer than allowed.
            FetchError: Any other failure.
        """
        try:
            data = self._host.read(url, max_bytes=max_length)
        except FileMissingError as exc:
            raise DownloadHTTPError(exc.message, 404) from exc
        if data.lstrip()[:1] == b"<":  # JSON never begins like this, and every page does, whatever it says it is
            raise PortalError(f"{url} answers with a page, not with metadata", hint=_PORTAL_HINT, url=url)
        return data

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            with self._host.open(url) as stream:
                yield from stream.blocks
        except FileMissingError as exc:
            raise DownloadHTTPError(exc.message, 404) from exc


def _position(url: str, response: http.client.HTTPResponse, *, first_byte: int | None) -> tuple[int, int | None]:
    """Return where the body starts in the file, and the file's size."""
    if response.status == 200:
        return 0, response.length
    unit, _, rest = (response.getheader("Content-Range") or "").partition(" ")
    start, _, _ = rest.partition("-")
    total = rest.rpartition("/")[2]
    if (
        unit != "bytes"
        or first_byte is None
        or read_size(start) != first_byte
        or (read_size(total) is None and total != "*")
    ):
        raise FetchError(f"{url} answers a range that was not asked for: {rest[:200]!r}", hint=_PORTAL_HINT)
    return first_byte, read_size(total)


def _is_page(response: http.client.HTTPResponse) -> bool:
    """Tell whether a 200 is a page for people, or was re-coded on the way: a repository serves neither."""
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    return (
        kind in {"text/html", "application/xhtml+xml"}
        or response.getheader("Content-Encoding", "identity") != "identity"
    )


def _unexpected(url: str, response: http.client.HTTPResponse) -> FetchError:
    status = response.status
    if status in {403, 404, 410}:
        return FileMissingError(f"{url} is not there (status {status})", hint="Check repository.url.", url=url)
    if status in {200, 206}:
        what = f"{response.getheader('Content-Type')} {response.getheader('Content-Encoding', '')}".strip()
        return PortalError(f"{url} answers with {what}, not with a repository's file", hint=_PORTAL_HINT, url=url)
    if 300 <= status < 400:
        where = response.getheader("Location", "nowhere")
        return PortalError(f"{url} redirects to {where[:200]}, which is not followed", hint=_PORTAL_HINT, url=url)
    if status == 511:  # Network Authentication Required (RFC 6585, section 6)
        return PortalError(f"this network wants a login before {url}", hint=_PORTAL_HINT, url=url)
    if status in {407, 502, 504}:
        return ProxyError(
            f"a proxy answers for {url} with status {status}",
            hint="Check the proxy between this device and the host; edged speaks to the host itself and to none.",
            url=url,
        )
    return FetchError(f"{url} answers with status {status}", hint="The host has a problem; it is tried again.", url=url)


def _lost(url: str, exc: Exception) -> HostUnreachableError:
    return HostUnreachableError(f"no complete answer for {url}: {exc}", hint="Check the network.", url=url)
