"""What a worker takes away from itself, in this order.

1. ``close_all_but`` and ``limit_worker``, right after the fork: what was open in the template, memory, privileges, outliving its parent.
2. ``forbid_files``, in its only thread and before it reads a byte of a model: from then on it works with what it was handed.
3. ``filter_calls``, once the model is loaded and all threads run: from then on it computes and answers, and nothing else.

The first must work. The others depend on the machine; where one is missing, the worker says so and goes on with what there is.
"""

import contextlib
import ctypes
import errno
import os
import resource
import signal
from collections.abc import Collection
from typing import Final

from edged.worker import landlock, seccomp

# A model's files, its channels, and one for every segment that is mapped, because Python's mmap keeps it.
MAX_OPEN_FILES: Final = 1024
BACKGROUND_NICE: Final = 10
"""Of a worker whose answers nobody waits for: about a tenth of a core that another process wants as well, which is enough to end."""

_LANDLOCK_MISSING: Final = {
    errno.ENOSYS: "the kernel is built without it (CONFIG_SECURITY_LANDLOCK)",
    errno.EOPNOTSUPP: "the kernel has it but it is off; name it in the kernel's parameter lsm=",
    errno.EPERM: "a filter on system calls around this process forbids it",
    errno.E2BIG: "16 of its rulesets are in force around this process already",
}

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


def give_way() -> None:
    """Let all other processes go first, for good; where the system does not allow that, this one goes on as it is.

    Call it before there is a second thread: threads that run already keep their priority.
    """
    with contextlib.suppress(OSError):
        os.nice(BACKGROUND_NICE)


def forbid_files() -> str | None:
    """Give up opening files, TCP, abstract Unix sockets and signals to others, as far as this kernel's Landlock goes.

    Call it after ``limit_worker`` and before there is a second thread: threads that run already are not bound.

    Returns:
        None, or why the process can still do all of this, for an operator to read.
    """
    try:
        landlock.forbid_everything()
    except OSError as exc:
        reason = _LANDLOCK_MISSING.get(exc.errno or 0, exc.strerror)
        return f"no Landlock: {reason}"
    return None


def filter_calls() -> str | None:
    """Give up all system calls that a worker with a loaded model does not need; see ``edged.worker.seccomp``.

    Call it when all threads run, which are all bound by it: none can be started afterwards.

    Returns:
        None, or why the process can still make all calls, for an operator to read.
    """
    try:
        seccomp.filter_calls()
    except seccomp.FilterError as exc:
        return f"no filter on system calls: {exc}"
    return None


def _prctl(*arguments: object) -> None:
    if _LIBC.prctl(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")
