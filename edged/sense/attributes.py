"""Attributes of one device of sysfs: what does not change is read once, what does is kept open and read again from its beginning.

Sysfs makes the text anew for every read at offset zero (Documentation/filesystems/sysfs.rst), so opening a file each time would only
cost. Reading an attribute asks the device behind it, which may take its time (a sensor on a slow bus): not for the event loop. A file
that is kept open holds neither its device nor its driver: once that is gone, reads fail.
"""

import errno
import os
from collections.abc import Iterable
from typing import Final

from edged.sense.snapshot import SLEEPS, DeviceText

MAX_ATTRIBUTE_BYTES: Final = 512
"""More than any attribute has that is read here."""
_GONE: Final = frozenset({errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.EBADF})


def read_text(path: str) -> str:
    """Read a short file once.

    Raises:
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return _text(os.read(descriptor, MAX_ATTRIBUTE_BYTES))
    finally:
        os.close(descriptor)


class KeptFile:
    """A file that is read often.

    Args:
        path: Where it is; opened at the first read.
        size_bytes: The most that is read of it.
    """

    def __init__(self, path: str, *, size_bytes: int = MAX_ATTRIBUTE_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._descriptor: int | None = None

    def read(self) -> str:
        """Read it from its beginning.

        Raises:
            OSError: It cannot be read now; the next read opens it again if the device behind it is gone.
        """
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _text(os.pread(self._descriptor, self._size_bytes, 0))
        except OSError as exc:
            if exc.errno in _GONE:
                self.close()
            raise

    def close(self) -> None:
        """Let go of the file; a later read opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class KeptDevice:
    """A device whose attributes are read often.

    Args:
        path: Its directory.
        fixed: Attributes that are read now, and never again.
        live: Attributes that every look reads.
        asleep: An attribute that reads ``suspended`` while looking at any other would wake the device; empty for devices that do not sleep.
    """

    def __init__(self, path: str, *, fixed: Iterable[str], live: Iterable[str], asleep: str = "") -> None:
        self._name = path.rpartition("/")[2]
        self._fixed: dict[str, str] = {}
        for name in fixed:
            try:
                self._fixed[name] = read_text(f"{path}/{name}")
            except OSError:  # as of a trip point that the driver lists and the firmware does not know
                continue
        self._live = {name: KeptFile(f"{path}/{name}") for name in live}
        self._asleep = KeptFile(f"{path}/{asleep}") if asleep else None
        self._is_gone = False

    @property
    def is_gone(self) -> bool:
        """Whether the last look found that the device behind the files is not there any more."""
        return self._is_gone

    def look(self) -> DeviceText:
        """Read every live attribute; one that fails says why and does not keep the others from being read."""
        if self._sleeps():
            return DeviceText(name=self._name, texts=self._fixed, errors=dict.fromkeys(self._live, SLEEPS))
        texts, errors = dict(self._fixed), {}
        for name, file in self._live.items():
            try:
                texts[name] = file.read()
            except OSError as exc:
                errors[name] = os.strerror(exc.errno or 0)
                self._is_gone |= exc.errno in _GONE
        return DeviceText(name=self._name, texts=texts, errors=errors)

    def close(self) -> None:
        """Let go of every file."""
        for file in self._live.values():
            file.close()
        if self._asleep is not None:
            self._asleep.close()

    def _sleeps(self) -> bool:
        try:
            return self._asleep is not None and self._asleep.read() == "suspended"
        except OSError:  # it cannot be put to sleep
            return False


def _text(content: bytes) -> str:
    return content.decode("ascii", "replace").strip()
