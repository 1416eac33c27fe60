"""``edge-publish`` killed by the kernel right before any one of the system calls by which it changes files.

A server process imports the publisher once and forks for each run, so that a run costs what publishing costs and no start. Runs are traced
(``ptrace(2)``, by ctypes: the machines that build packages have no strace), and so the moment of death is exact: before a call, which is
after the one before it. A filter (``seccomp(2)``) stops them at the calls of interest alone, which are one in ten.
"""

import ctypes
import gc
import json
import os
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Numbers of the calls that create, change, rename or remove files, and where each has its path ("fd" for one that is open).
_AMD64 = {
    1: ("write", "fd"), 74: ("fsync", "fd"), 91: ("fchmod", "fd"), 82: ("rename", 0), 83: ("mkdir", 0), 84: ("rmdir", 0),
    87: ("unlink", 0), 90: ("chmod", 0), 257: ("openat", 1), 263: ("unlinkat", 1), 264: ("renameat", 1), 280: ("utimensat", "fd"),
    316: ("renameat2", 1),
}  # fmt: skip
_ARM64 = {
    34: ("mkdirat", 1), 35: ("unlinkat", 1), 38: ("renameat", 1), 52: ("fchmod", "fd"), 53: ("fchmodat", 1), 56: ("openat", 1),
    64: ("write", "fd"), 82: ("fsync", "fd"), 88: ("utimensat", "fd"), 276: ("renameat2", 1),
}  # fmt: skip
CALLS = {"x86_64": _AMD64, "aarch64": _ARM64}.get(platform.machine())
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

_TRACEME, _CONTINUE, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 0x4200, 0x420E
_TRACE_SECCOMP, _EXITKILL, _SECCOMP_STOP = 0x80, 0x100000, 7
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN, _TO_TRACER, _ALLOW = 0x20, 0x15, 0x06, 0x7FF00000, 0x7FFF0000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)


class _SyscallInfo(ctypes.Structure):
    """``struct ptrace_syscall_info`` of <linux/ptrace.h>, as far as a stop by a filter fills it."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def why_not() -> str:
    """Say why runs cannot be traced here; empty when they can."""
    if CALLS is None:
        return f"the numbers of system calls on {platform.machine()} are not listed"
    attempt = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)"
    is_allowed = subprocess.run([sys.executable, "-c", attempt], check=False, timeout=60).returncode == 0
    return "" if is_allowed else "a process may not be traced here (ptrace(2), kernel.yama.ptrace_scope)"


@dataclass(frozen=True)
class Run:
    """How a run of ``edge-publish`` ended."""

    code: int
    """Its exit code; -9 when it was killed."""
    calls: list[str]
    """The system calls that changed something below ``watched``; the last is the one that was not let through."""
    err: str


class Publisher:
    """Sends runs to the server."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, *arguments: object, watched: Path | None = None, kill_at: int | None = None) -> Run:
        """Run ``edge-publish`` with absolute paths, and kill it before the ``kill_at``-th call (from 0) that changes ``watched``."""
        request = {"arguments": [str(a) for a in arguments], "watched": str(watched or ""), "kill_at": kill_at}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Run(**json.loads(self._process.stdout.readline()))


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Start the server for as long as the context lasts."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OPENBLAS_NUM_THREADS": "1"}
    # Without a language nobody looks for translations, which are half of all system calls of a run.
    environment |= {"LC_ALL": "C", "LANGUAGE": ""}
    environment.pop("EDGE_PUBLISH_PASSPHRASE", None)
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Publisher(process)
        process.stdin.close()
        assert process.wait(30) == 0


def _serve() -> None:
    from edged.publish.main import main

    # Children share what is there already, for as long as nothing writes to it, as collecting garbage does.
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        errors = os.memfd_create("stderr")
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            os.dup2(errors, 2)
            if request["watched"]:
                _ptrace(_TRACEME, 0, 0, 0)
                os.kill(os.getpid(), signal.SIGSTOP)
                _stop_at(list(CALLS))
            os._exit(main(request["arguments"]))
        calls: list[str] = []
        if request["watched"]:
            code = _trace(child, request["watched"], request["kill_at"], calls)
        else:
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        err = os.pread(errors, 1 << 20, 0).decode()
        os.close(errors)
        sys.stdout.write(json.dumps({"code": code, "calls": calls, "err": err}) + "\n")
        sys.stdout.flush()


def _stop_at(numbers: list[int]) -> None:
    """Let this process stop for its tracer at some system calls: a program for the kernel's packet filter, by <linux/filter.h>."""
    program = [(_LOAD_NUMBER, 0, 0, 0)]
    # Each test jumps over those that are left, and over the first of the two endings.
    program += [(_JUMP_IF_EQUAL, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _TO_TRACER)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    whole = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    for arguments in ((_NO_NEW_PRIVILEGES, 1, None), (_SET_SECCOMP, _FILTER, ctypes.addressof(whole))):
        if _LIBC.prctl(*arguments, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def _trace(child: int, watched: str, kill_at: int | None, calls: list[str]) -> int:
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, 0, _TRACE_SECCOMP | _EXITKILL)
    info = _SyscallInfo()
    deliver = 0
    while True:
        _ptrace(_CONTINUE, child, 0, deliver)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        deliver = 0
        if status >> 16 != _SECCOMP_STOP:
            deliver = os.WSTOPSIG(status)
            continue
        _ptrace(_GET_SYSCALL_INFO, child, ctypes.sizeof(info), ctypes.addressof(info))
        if (call := _describe(child, info, watched)) is None:
            continue
        calls.append(call)
        if len(calls) - 1 == kill_at:
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _describe(child: int, info: _SyscallInfo, watched: str) -> str | None:
    """Return the name and the path of a call that changes something watched, None for any other."""
    name, place = CALLS.get(info.number, ("", 0))
    if not name or (name == "openat" and not info.arguments[2] & _WRITING):
        return None
    if place == "fd":
        try:
            path = str(Path(f"/proc/{child}/fd/{info.arguments[0]}").readlink())
        except OSError:
            return None
    else:
        path = _read_string(child, info.arguments[place])
    return f"{name} {path}" if path.startswith(watched) else None


def _read_string(child: int, address: int) -> str:
    with open(f"/proc/{child}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - not a file that Path knows
        memory.seek(address)
        # To the end of the page at most: the next one may not be there. Paths across it are longer than any of ours is likely to be.
        data = memory.read(4096 - address % 4096)
        if b"\0" not in data:
            data += memory.read(4096)
    return os.fsdecode(data.split(b"\0", 1)[0])


def _ptrace(request: int, process: int, address: int, data: int) -> None:
    if _LIBC.ptrace(request, process, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    _serve()
