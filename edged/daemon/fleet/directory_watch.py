"""Notices at once when something changes in a directory: inotify(7), which Python's library does not have.

Where there is nothing to watch yet (no such directory), or inotify is refused (limits, a sandbox), one looks each second instead, and
tries again to watch.
"""

import asyncio
import ctypes
import logging
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

LOG = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""While the directory cannot be watched."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_IN_CLOEXEC: Final = os.O_CLOEXEC
_IN_NONBLOCK: Final = os.O_NONBLOCK
_IN_CLOSE_WRITE: Final = 0x8
_IN_MOVED_FROM: Final = 0x40
_IN_MOVED_TO: Final = 0x80
_IN_DELETE: Final = 0x200
_IN_DELETE_SELF: Final = 0x400
_IN_MOVE_SELF: Final = 0x800
_IN_ONLYDIR: Final = 0x0100_0000
_IN_IGNORED: Final = 0x8000
_CHANGES: Final = _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_DELETE
_WATCHED: Final = _CHANGES | _IN_DELETE_SELF | _IN_MOVE_SELF | _IN_ONLYDIR
_EVENT: Final = struct.Struct("=iIII")
"""An event without its name: watch, mask, cookie, length of the name."""
_BUFFER_BYTES: Final = 64 << 10


class DirectoryWatch:
    """Watches one directory on the running loop, while it is entered.

    Args:
        directory: It may come and go.
        changed: Called when a file in it was written, replaced or removed, when it came or went itself, and each second while it
            cannot be watched.
    """

    def __init__(self, directory: Path, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        self._said = ""

    def __enter__(self) -> Self:
        """Begin; what changed before is not told."""
        self._watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._unwatch()
        if self._timer is not None:
            self._timer.cancel()

    @property
    def is_watching(self) -> bool:
        """Tell whether changes are noticed at once."""
        return self._descriptor >= 0

    def _watch(self) -> None:
        try:
            self._descriptor = _watch(self._directory)
        except OSError as exc:
            if not isinstance(exc, FileNotFoundError) and str(exc) != self._said:
                self._said = str(exc)
                LOG.warning("Changes of %s are noticed within a second, not at once: %s", self._directory, exc)
            self._timer = self._loop.call_later(LOOK_EVERY_S, self._try_again)
            return
        self._loop.add_reader(self._descriptor, self._read)

    def _unwatch(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _try_again(self) -> None:
        self._watch()
        # After that: what changes from here on is noticed by itself.
        self._changed()

    def _read(self) -> None:
        events = b""
        with suppress(BlockingIOError):
            events = os.read(self._descriptor, _BUFFER_BYTES)
        if _has_gone(events):
            self._unwatch()
            self._watch()
        self._changed()


def _watch(directory: Path) -> int:
    """Return a descriptor that can be read when something has changed.

    Raises:
        OSError: There is no such directory, or the kernel refused.
    """
    descriptor = _checked(_LIBC.inotify_init1(_IN_CLOEXEC | _IN_NONBLOCK), directory)
    try:
        _checked(_LIBC.inotify_add_watch(descriptor, os.fsencode(directory), ctypes.c_uint32(_WATCHED)), directory)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _checked(result: int, directory: Path) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(directory))
    return result


def _has_gone(events: bytes) -> bool:
    """Tell whether the directory itself was removed or renamed."""
    at = 0
    while at + _EVENT.size <= len(events):
        _, mask, _, name_bytes = _EVENT.unpack_from(events, at)
        if mask & (_IN_DELETE_SELF | _IN_MOVE_SELF | _IN_IGNORED):
            return True
        at += _EVENT.size + name_bytes
    return False
