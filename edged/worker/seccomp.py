"""Which system calls a worker keeps once its model is loaded; a filter (seccomp(2)) refuses all others with EPERM.

A worker then computes, answers on channels that it was handed, and maps memory that it was handed. It can no longer open, make,
connect, start or trace anything, nor turn memory into code: none of the calls for that is in the list, and a call that the kernel
learns tomorrow is not either. The filter binds every thread, also those that run already, and no other architecture's calls pass by it.

The list was found by tracing ONNX Runtime 1.21 and 1.32 with glibc 2.36 and 2.41, and by reading what glibc falls back to. One way to
look out stays: newfstatat(2) also tells whether a path exists and what its size and owner are, and no filter can read a path.
"""

import contextlib
import errno
import importlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

# linux/fcntl.h and asm-generic/fcntl.h: the same on every architecture that edged runs on.
_F_GETFD: Final = 1
_F_GETFL: Final = 3
_F_DUPFD_CLOEXEC: Final = 1030
_F_GET_SEALS: Final = 1034
_AT_EMPTY_PATH: Final = 0x1000
# Arguments that are C ints: the kernel does not look at the upper half of the register.
_INT: Final = 0xFFFFFFFF


class FilterError(Exception):
    """The filter cannot be put in force; the message says why. Not part of ``edged.errors``: a worker goes on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bits:
    """A condition on one argument of a call: its bits under ``mask`` are ``value``."""

    argument: int
    """From 0."""
    mask: int
    value: int


ALWAYS: Final = (
    # Answer requests: wait for channels, take messages and descriptors from them, give answers. write also for standard error.
    # No addresses are looked at, because sendmsg hides its own in memory: a worker holds no socket that could be used with one.
    *("recvmsg", "recvfrom", "read", "sendmsg", "sendto", "write", "writev"),
    *("poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_ctl"),
    # What Python asks of a descriptor that becomes a socket object, and how a lease of a connection ends under a thread that reads it.
    *("getsockname", "getsockopt", "shutdown", "close"),
    # The size of a segment before it is mapped, and after whoever made it may have cut it short.
    "fstat",
    # Memory: malloc's heap (brk), large blocks and arenas of threads, their growth and their return to the system.
    *("brk", "munmap", "mremap", "madvise"),
    # Locks, conditions and thread pools; a thread that gives way; one that was just started and is not yet past glibc's first steps.
    *("futex", "sched_yield", "set_robust_list", "rseq"),
    # How many arenas malloc makes (glibc tries two files in vain and then asks this), and where a thread runs, if the vDSO cannot say.
    *("sched_getaffinity", "getcpu"),
    # Clocks, where the vDSO cannot answer (CPU time of a thread, some virtual machines), and waiting for a time.
    *("clock_gettime", "clock_getres", "gettimeofday", "time", "clock_nanosleep", "nanosleep"),
    # What a wait becomes when the process was stopped and continued meanwhile.
    "restart_syscall",
    # Random operators of models; malloc's secrets.
    "getrandom",
    # Signals to this process: handlers return, abort(3) resets its own and sends it to itself (see tgkill), threads block all as they end.
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "getpid", "gettid"),
    # The end of a thread, and of the process.
    *("exit", "exit_group"),
)
"""Calls that are allowed whatever their arguments."""

SOMETIMES: Final = (
    # Memory and segments, but never code.
    ("mmap", Bits(argument=2, mask=mmap.PROT_EXEC, value=0)),
    ("mprotect", Bits(argument=2, mask=mmap.PROT_EXEC, value=0)),
    # Which cores the calling thread uses, but not those of another, whose number would be in the first argument.
    ("sched_setaffinity", Bits(argument=0, mask=_INT, value=0)),
    # How older glibc does fstat.
    ("newfstatat", Bits(argument=3, mask=_AT_EMPTY_PATH, value=_AT_EMPTY_PATH)),
    # Python's mmap keeps a copy of the descriptor. Not F_SETFL and F_SETOWN, with which a file sends signals to other processes, and not
    # F_ADD_SEALS: what a client shares stays as the client made it.
    *(
        ("fcntl", Bits(argument=1, mask=_INT, value=command))
        for command in (_F_DUPFD_CLOEXEC, _F_GETFD, _F_GETFL, _F_GET_SEALS)
    ),
)
"""Calls that are allowed with certain arguments; one that is listed several times, with any of these."""


def allowed_calls(pid: int) -> Iterator[tuple[str, tuple[Bits, ...]]]:
    """Return every rule of the filter of process ``pid``: a call's name, and conditions that must all hold."""
    yield from ((name, ()) for name in ALWAYS)
    yield from ((name, (bits,)) for name, bits in SOMETIMES)
    yield "tgkill", (Bits(argument=0, mask=_INT, value=pid),)


def _load_library() -> ModuleType | None:
    """Import the bindings of libseccomp that are there: Debian's, or from PyPI those that offer the same interface."""
    for name in ("seccomp", "pyseccomp"):
        # The second raises RuntimeError where the library itself is missing.
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            return importlib.import_module(name)
    return None


LIBRARY: Final = _load_library()
"""Loaded with this module, because a worker that has no files any more cannot load it."""


def filter_calls() -> None:
    """Put the filter in force for all threads of this process. Sets ``PR_SET_NO_NEW_PRIVS``.

    Raises:
        FilterError: The library is missing, or it or the kernel refused.
    """
    if LIBRARY is None:
        raise FilterError("Python's bindings of libseccomp are not installed (Debian: python3-seccomp)")
    # Debian's bindings raise RuntimeError and ValueError where those from PyPI raise OSError; neither tells the kernel's reason.
    try:
        # Another architecture's calls end the thread: there are no threads of another architecture.
        ruleset = LIBRARY.SyscallFilter(LIBRARY.ERRNO(errno.EPERM))
        ruleset.set_attr(LIBRARY.Attr.CTL_TSYNC, 1)
        add_rules(LIBRARY, ruleset, os.getpid())
        ruleset.load()
    except (OSError, RuntimeError, ValueError) as exc:
        raise FilterError(f"the kernel or a filter around this process refused it ({exc})") from exc


def add_rules(library: Any, ruleset: Any, pid: int) -> None:
    """Add all rules to a filter of libseccomp; names that its architecture does not have are passed over.

    Args:
        library: ``LIBRARY``; neither of the two has types.
        ruleset: Its ``SyscallFilter``.
        pid: The process that may send signals to itself.
    """
    for name, conditions in allowed_calls(pid):
        arguments = [library.Arg(bits.argument, library.MASKED_EQ, bits.mask, bits.value) for bits in conditions]
        ruleset.add_rule(library.ALLOW, name, *arguments)
