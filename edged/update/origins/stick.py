"""A repository that somebody brings: files that the process at the other end of a connection opens, one by one, and hands over.

The refresh process sees neither removable media nor the user's directories, and may not. So it asks for each file by its path in the
repository (``edged.update.protocol.asking``), and gets a descriptor. What it reads there is believed as little as what a host sends, and
whoever opens the files is not believed either: what is no regular file is not read, nothing is read beyond its limit, and nobody is waited
for longer than for a host.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
from tuf.api.exceptions import DownloadLengthMismatchError

from edged.errors import (
    FetchError,
    FileMissingError,
    HostUnreachableError,
    MetadataExpiredError,
    MetadataRollbackError,
    PortalError,
    SignatureInvalidError,
    TrustError,
)
from edged.update.origins.origin import Stream
from edged.update.protocol.asking import (
    MAX_PACKET_BYTES,
    ListPacks,
    NotOpened,
    Opened,
    OpenFile,
    Packs,
    Reply,
    decode_reply,
    encode_packet,
)
from edged.update.protocol.messages import Finding, MessageError

URL: Final = "stick:/"
"""Stands for the repository in addresses."""
BLOCK_BYTES: Final = 1 << 18
_GONE_HINT: Final = "Is the stick still there? Put it in again and repeat the command: what was read is kept."
_ALTERED_HINT: Final = (
    "The stick was altered, or holds the repository of another publisher: copy it again, or check repository.root."
)
_OF_HOST: Final = "The host serves "
"""How hints begin that take for granted that files come from a host."""
_HINTS: Final = {
    MetadataRollbackError.code: (
        "The stick is older than what this device has seen already, from another stick or from the network: copy the repository to it"
        " again. Nothing was changed."
    ),
    MetadataExpiredError.code: (
        "Sign the repository again (edge-publish resign) and copy it to the stick again; if it is new, check this device's clock."
    ),
    SignatureInvalidError.code: _ALTERED_HINT,
    TrustError.code: _ALTERED_HINT,
    PortalError.code: _ALTERED_HINT,
    FileMissingError.code: (
        "Beside metadata/ and targets/ of the repository there have to be blobs/ and index/, or the packed bundles (.edgeb)."
    ),
}


class Stick:
    """The files of one directory.

    Args:
        connection: To the process that opens them; it belongs to this from now on.
        timeout_s: Longest wait for any one file.
        on_answer: Called whenever something came: the sign of progress.
        on_bytes: Told how many bytes were read, right or wrong.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        timeout_s: float,
        on_answer: Callable[[], None],
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        connection.settimeout(timeout_s)
        self._connection = connection
        self._on_answer = on_answer
        self._on_bytes = on_bytes

    @contextmanager
    def open(self, url: str, *, first_byte: int | None = None, last_byte: int | None = None) -> Iterator[Stream]:
        """Open a file, or a range of it; see ``Origin``."""
        descriptor = self.take(url.removeprefix(URL))
        try:
            size = os.fstat(descriptor).st_size
            start = 0 if first_byte is None else min(first_byte, size)
            stop = size if last_byte is None else min(last_byte + 1, size)
            yield Stream(start=start, total=size, blocks=self.blocks(descriptor, url, start=start, stop=stop))
        finally:
            os.close(descriptor)

    def read(self, url: str, *, max_bytes: int) -> bytes:
        """Read a whole small file; see ``Origin``."""
        with self.open(url) as stream:
            if stream.total is None or stream.total > max_bytes:
                raise DownloadLengthMismatchError(f"{url} has more than {max_bytes} bytes")
            return b"".join(stream.blocks)

    def packs(self) -> tuple[str, ...]:
        """Return the paths of the packed bundles.

        Raises:
            HostUnreachableError: Nothing comes any more.
            FetchError: They cannot be listed.
        """
        reply, descriptor = self._ask(ListPacks())
        if descriptor is not None:
            os.close(descriptor)
        if not isinstance(reply, Packs):
            raise _not_opened(URL, reply)
        return reply.names

    def take(self, path: str) -> int:
        """Have a file opened.

        Returns:
            The descriptor of a regular file, which the caller closes.

        Raises:
            HostUnreachableError: Nothing comes any more.
            FileMissingError: There is no such file.
            FetchError: It cannot be opened, or is not to be.
        """
        reply, descriptor = self._ask(OpenFile(path=path))
        if not isinstance(reply, Opened) or descriptor is None:
            if descriptor is not None:
                os.close(descriptor)
            raise _not_opened(f"{URL}{path}", reply)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FetchError(f"{URL}{path} is no regular file", hint="Copy the repository again.")
        return descriptor

    def blocks(self, descriptor: int, name: str, *, start: int, stop: int) -> Iterator[bytes]:
        """Read a part of a file.

        Args:
            descriptor: Of the file.
            name: What to call it in errors.
            start: Where the part begins.
            stop: Where it ends.

        Raises:
            HostUnreachableError: It cannot be read any more, or has become shorter.
        """
        while start < stop:
            try:
                block = os.pread(descriptor, min(BLOCK_BYTES, stop - start), start)
            except OSError as exc:
                raise HostUnreachableError(f"{name} cannot be read: {exc.strerror}", hint=_GONE_HINT) from exc
            if not block:
                raise HostUnreachableError(f"{name} ended after {start} of {stop} bytes", hint=_GONE_HINT)
            start += len(block)
            self._on_answer()
            self._on_bytes(len(block))
            yield block

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, wanted: OpenFile | ListPacks) -> tuple[Reply, int | None]:
        try:
            self._connection.send(encode_packet(wanted))
            reply, descriptor = self._receive()
            # A refresh that was ended before this one may have left a question behind. That is no sign of progress, however often it comes.
            while not _fits(reply, wanted):
                if descriptor is not None:
                    os.close(descriptor)
                reply, descriptor = self._receive()
        except OSError as exc:
            # As a TimeoutError, too: whoever opens the files hangs, and would again.
            raise HostUnreachableError(f"nobody opens {URL} any more: {exc}", hint=_GONE_HINT) from exc
        self._on_answer()
        return reply, descriptor

    def _receive(self) -> tuple[Reply, int | None]:
        packet, descriptors, _, _ = socket.recv_fds(self._connection, MAX_PACKET_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        descriptor = next(iter(descriptors), None)
        try:
            return _reply(packet), descriptor
        except FetchError:
            if descriptor is not None:
                os.close(descriptor)
            raise


def advise(found: Finding) -> Finding:
    """Give what failed the hint that fits a stick instead of a host."""
    failure = found.failure
    if failure is None:
        return found
    # What is altered, cut or too long has hints of several kinds, of which some are about this device's own disk.
    of_host = _ALTERED_HINT if failure.hint.startswith(_OF_HOST) else failure.hint
    hint = _HINTS.get(failure.code, of_host)
    return msgspec.structs.replace(found, failure=msgspec.structs.replace(failure, hint=hint))


def _reply(packet: bytes) -> Reply:
    if not packet:
        raise HostUnreachableError(f"whoever opened {URL} has gone", hint=_GONE_HINT)
    try:
        return decode_reply(packet)
    except MessageError as exc:
        raise FetchError(f"{URL}: the answer for a file is none: {exc}") from exc


def _fits(reply: Reply, wanted: OpenFile | ListPacks) -> bool:
    asked = wanted.path if isinstance(wanted, OpenFile) else None
    return asked is None if isinstance(reply, Packs) else reply.path == asked


def _not_opened(what: str, reply: Reply) -> FetchError:
    if not isinstance(reply, NotOpened):
        return FetchError(f"{what} was answered with something else")
    match reply.cause:
        case "missing":
            return FileMissingError(f"{what} is not there", hint=_HINTS[FileMissingError.code])
        case "refused":
            return FetchError(f"{what} is not read: {reply.reason}", hint="Copy the repository again, as plain files.")
        case "broken":
            return HostUnreachableError(f"{what} cannot be opened: {reply.reason}", hint=_GONE_HINT)
