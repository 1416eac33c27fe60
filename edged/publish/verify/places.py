"""Where a repository can be looked at: a directory, or a web host that is asked without a gate, as publishers' machines may.

Both are origins for the trust code of devices (``edged.update.origins.origin``). A host has to answer as devices need it: redirects, pages
and re-coded bodies are errors here as there.
"""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from tuf.api.exceptions import DownloadLengthMismatchError

from edged import __version__
from edged.errors import FetchError, FileMissingError, HostUnreachableError, UsageError
from edged.files import READ_BLOCK_BYTES
from edged.http_head import read_size
from edged.update.origins.origin import Origin, Stream

TIMEOUT_S: Final = 30.0
_SKIPPED_BYTES: Final = 1 << 16
"""What is left of a body that nobody wants is read up to here, so that the connection can be used again."""
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_HINT: Final = "Devices need the plain files of the repository at this address."


class Place(Origin, Protocol):
    """A repository somewhere."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def url(self) -> str:
        """Its address, with a slash at its end."""

    def sizes(self) -> Mapping[str, int] | None:
        """Return the size of each file by its path; None where files cannot be listed."""

    def close(self) -> None:
        """Give it up."""


def open_place(text: str) -> Place:
    """Open a directory or an address.

    Raises:
        UsageError: It is neither.
    """
    if text.startswith(("http://", "https://")):
        _check_address(text)
        return WebPlace(text if text.endswith("/") else f"{text}/")
    if Path(text).is_dir():
        return DirectoryPlace(Path(text))
    raise UsageError(f"{text} is no directory and no address", hint="Name a directory, or http://... or https://...")


def _check_address(text: str) -> None:
    """Refuse what could not be asked for files, before a host is blamed for it.

    Raises:
        UsageError: The paths of files cannot be written behind it, or it has no usable host and port.
    """
    try:
        parts = urlsplit(text)
        is_usable = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        is_usable = False
    if not is_usable or "?" in text or "#" in text or not (text.isascii() and text.isprintable()):
        hint = "Write http:// or https://, a host name, and a path in ASCII; nothing of a user, a query or a fragment."
        raise UsageError(f"{text} is no address of a repository", hint=hint)


class DirectoryPlace:
    """A repository on this machine."""

    def __init__(self, directory: Path) -> None:
        self.name: Final = str(directory)
        self.url: Final = f"{directory.resolve().as_uri()}/"
        self._directory = directory

    @contextmanager
    def open(self, url: str, *, first_byte: int | None = None, last_byte: int | None = None) -> Iterator[Stream]:
        """Open a file, or a range of it; see ``Origin``."""
        path = self._directory / url.removeprefix(self.url)
        try:
            with path.open("rb") as file:
                size = path.stat().st_size
                start = min(first_byte or 0, size)
                stop = size if last_byte is None else min(last_byte + 1, size)
                file.seek(start)
                yield Stream(start=start, total=size, blocks=_blocks(file, stop - start))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
            raise _missing(url) from exc
        except OSError as exc:
            raise FetchError(
                f"{path} cannot be read: {exc.strerror}", hint="Web servers have to read it, too."
            ) from exc

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Read a whole small file; see ``Origin``."""
        return _read(self, url, max_bytes)

    def sizes(self) -> Mapping[str, int]:
        """Return the size of each file by its path."""
        found = (path for path in self._directory.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self._directory).as_posix(): path.stat().st_size for path in found}

    def close(self) -> None:
        """Do nothing."""


class WebPlace:
    """A repository on a web host, over one connection that is kept.

    Args:
        url: With a slash at its end.
    """

    def __init__(self, url: str) -> None:
        self.name: Final = url
        self.url: Final = url
        self._connection: http.client.HTTPConnection | None = None

    @contextmanager
    def open(self, url: str, *, first_byte: int | None = None, last_byte: int | None = None) -> Iterator[Stream]:
        """Request a file, or a range of it; see ``Origin``."""
        fields = {} if first_byte is None else {"Range": f"bytes={first_byte}-{last_byte}"}
        try:
            response = self._request(urlsplit(url).path, fields)
            _check(url, response)
            start, total = _position(response, first_byte or 0)
            yield Stream(start=start, total=total, blocks=_blocks(response, None))
            if response.length is not None and response.length <= _SKIPPED_BYTES:
                response.read()
        except (OSError, http.client.HTTPException) as exc:
            self.close()
            raise HostUnreachableError(f"no complete answer for {url}: {exc}", hint="Check the host.") from exc
        except BaseException:
            # What is left of the body would be read as the next answer.
            self.close()
            raise
        if not response.isclosed():
            self.close()

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Fetch a whole small file; see ``Origin``."""
        return _read(self, url, max_bytes)

    def sizes(self) -> None:
        """Return nothing: a web host does not list its files."""

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _request(self, path: str, fields: Mapping[str, str]) -> http.client.HTTPResponse:
        headers = {"User-Agent": f"edge-publish/{__version__}", "Accept-Encoding": "identity", **fields}
        is_reused = self._connection is not None
        try:
            return self._send(path, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()
            if not is_reused:
                raise
        # The host closed a kept connection while it was idle: nothing was answered, so ask once more.
        return self._send(path, headers)

    def _send(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        if self._connection is None:
            parts = urlsplit(self.url)
            is_secure = parts.scheme == "https"
            connect = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
            self._connection = connect(parts.netloc, timeout=TIMEOUT_S)
        self._connection.request("GET", path, headers=dict(headers))
        return self._connection.getresponse()


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def size_of(place: Place, path: str) -> int:
    """Return the size of a file of the repository.

    Raises:
        FileMissingError: There is none.
        HostUnreachableError: The host does not answer.
        FetchError: It cannot be had.
    """
    with place.open(f"{place.url}{path}", first_byte=0, last_byte=0) as stream:
        received = sum(len(block) for block in stream.blocks) if stream.total is None else 0
        return received if stream.total is None else stream.total


def _blocks(file: _Readable, size: int | None) -> Iterator[bytes]:
    left = size
    while left is None or left > 0:
        block = file.read(READ_BLOCK_BYTES if left is None else min(READ_BLOCK_BYTES, left))
        if not block:
            return
        left = None if left is None else left - len(block)
        yield block


def _read(place: Origin, url: str, max_bytes: int) -> bytes:
    with place.open(url) as stream:
        body = bytearray()
        for block in stream.blocks:
            body += block
            if len(body) > max_bytes:
                raise DownloadLengthMismatchError(f"{url} has more than {max_bytes} bytes")
        return bytes(body)


def _check(url: str, response: http.client.HTTPResponse) -> None:
    """Refuse an answer that devices would refuse."""
    status = response.status
    if status in {403, 404, 410}:
        raise _missing(url, f" (status {status})")
    if status not in {200, 206, 416}:
        where = (
            f" to {response.getheader('Location', '')[:200]}, which devices do not follow"
            if 300 <= status < 400
            else ""
        )
        raise FetchError(f"{url} answers with status {status}{where}", hint=_HINT)
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    coding = response.getheader("Content-Encoding", "identity")
    if kind in _PAGES or coding != "identity":
        raise FetchError(f"{url} answers with {kind} {coding}, not with a repository's file", hint=_HINT)


def _position(response: http.client.HTTPResponse, first_byte: int) -> tuple[int, int | None]:
    """Return where the body begins in the file, and the file's size where the host says it."""
    if response.status == 200:
        return 0, response.length
    total = (response.getheader("Content-Range") or "").rpartition("/")[2]
    if response.status == 416:
        response.read()
    return first_byte, read_size(total)


def _missing(url: str, more: str = "") -> FileMissingError:
    return FileMissingError(f"it is not there{more}", hint="Publish it again, or copy the whole repository.", url=url)
