"""Limits a process puts on itself: prctl(2), setrlimit(2), and nothing open that it was not handed."""

import ctypes
import os
import resource
import signal
from collections.abc import Collection
from typing import Final

MAX_OPEN_FILES: Final = 32

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_NO_NEW_PRIVS: Final = 38
# Loaded where the module is imported: a worker may be out of memory or forbidden to open files when it needs it.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor of this process that is not in ``keep``."""
    highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    previous = -1
    for descriptor in [*sorted(keep), highest]:
        # An empty range at 0 would wrap around in close_range(2) and close everything.
        if previous + 1 < descriptor:
            os.closerange(previous + 1, descriptor)
        previous = descriptor


def set_name(name: str) -> None:
    """Set what process lists show; the kernel keeps 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]))


def limit_worker(*, memory_bytes: int, parent: int, name: str) -> None:
    """Put a freshly forked worker under its limits.

    It gets a session of its own, so that a Ctrl-C meant for the daemon lets requests finish; it ends with its parent; it has at most
    ``memory_bytes`` of private writable memory (``RLIMIT_DATA``, which counts what is mapped, touched or not); it leaves no core
    files, in which inputs could be read; and it never gains privileges.

    Raises:
        OSError: The system refused one of them, or the parent is gone already.
    """
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    # The parent may have ended before the signal was asked for.
    if os.getppid() != parent:
        raise ProcessLookupError("the template ended while this worker started")
    _prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    set_name(name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def _prctl(*arguments: object) -> None:
    if _LIBC.prctl(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
