"""A repository's directory as an ``Origin``: what a host would serve, without one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import DownloadLengthMismatchError

from edged.errors import FileMissingError
from edged.update.origins.origin import Stream

URL = "http://directory.test/"
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class DirectoryOrigin:
    """Fulfils ``edged.update.origins.origin.Origin``."""

    root: Path
    on_bytes: Callable[[int], None] = lambda _: None

    @contextmanager
    def open(self, url: str, *, first_byte: int | None = None, last_byte: int | None = None) -> Iterator[Stream]:
        data = self._data(url)
        start = first_byte or 0
        part = data[start : len(data) if last_byte is None else last_byte + 1]
        yield Stream(start=start, total=len(data), blocks=self._blocks(part))

    def read(self, url: str, *, max_bytes: int) -> bytes:
        data = self._data(url)
        if len(data) > max_bytes:
            raise DownloadLengthMismatchError(f"{url} has {len(data)} bytes, at most {max_bytes} were asked for")
        self.on_bytes(len(data))
        return data

    def _blocks(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), BLOCK_BYTES):
            block = data[start : start + BLOCK_BYTES]
            self.on_bytes(len(block))
            yield block

    def _data(self, url: str) -> bytes:
        try:
            return (self.root / url.removeprefix(URL)).read_bytes()
        except FileNotFoundError as exc:
            raise FileMissingError(url) from exc
