"""Programs under a tracer that stops them at the system calls by which they change files: to be killed there, refused, or written down.

A server process imports a module once and forks for each run of its ``main(arguments)``, so that a run costs what the work costs and no
start. Runs are traced (``ptrace(2)``, by ctypes: the machines that build packages have no strace), and so the moment of death is exact:
before a call, which is after the one before it. A filter (``seccomp(2)``) stops them at the calls of interest alone.

A run has one thread: a second one would not be traced, and each of its calls would fail.
"""

import ctypes
import errno
import gc
import importlib
import os
import pickle
import platform
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.tracees import Change, Tracee, changes_of

# By machine, the numbers of the calls that create, change, rename or remove files, or make them durable.
_NUMBERS = {
    "x86_64": {
        "write": 1, "open": 2, "pwrite64": 18, "writev": 20, "sendfile": 40, "fsync": 74, "fdatasync": 75, "truncate": 76,
        "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90,
        "fchmod": 91, "openat": 257, "mkdirat": 258, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
        "fchmodat": 268, "utimensat": 280, "fallocate": 285, "pwritev": 296, "renameat2": 316, "copy_file_range": 326,
        "pwritev2": 328,
    },
    "aarch64": {
        "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "truncate": 45, "ftruncate": 46,
        "fallocate": 47, "fchmod": 52, "fchmodat": 53, "openat": 56, "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70,
        "sendfile": 71, "fsync": 82, "fdatasync": 83, "utimensat": 88, "renameat2": 276, "copy_file_range": 285, "pwritev2": 287,
    },
}  # fmt: skip
CALLS = {number: name for name, number in _NUMBERS.get(platform.machine(), {}).items()}

_TRACEME, _POKE_USER, _CONTINUE, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 6, 7, 24, 0x4200, 0x420E
_TRACE_SECCOMP, _EXITKILL, _SYSGOOD, _SECCOMP_STOP = 0x80, 0x100000, 1, 7
_NUMBER_REGISTER, _RESULT_REGISTER = 15 * 8, 10 * 8
"""``orig_rax`` and ``rax`` in ``struct user`` of x86-64."""
_FAILED = 70
"""Exit code of a run that raised what ``main`` does not handle."""
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN, _TO_TRACER, _ALLOW = 0x20, 0x15, 0x06, 0x7FF00000, 0x7FFF0000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long
_LIBC.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)


class _SyscallInfo(ctypes.Structure):
    """``struct ptrace_syscall_info`` of <linux/ptrace.h>: of a stop by a filter, six arguments; of one at the end, the result first."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


def why_not(*, to_refuse: bool = False) -> str:
    """Say why runs cannot be traced here, or calls not be refused; empty when they can."""
    if not CALLS or (to_refuse and platform.machine() != "x86_64"):
        return f"the numbers of system calls and registers on {platform.machine()} are not listed"
    attempt = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(0, 0, 0, 0) != 0)"
    is_allowed = subprocess.run([sys.executable, "-c", attempt], check=False, timeout=60).returncode == 0
    return "" if is_allowed else "a process may not be traced here (ptrace(2), kernel.yama.ptrace_scope)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a run ended."""

    code: int
    """Its exit code; -9 when it was killed."""
    calls: list[str] = field(default_factory=list)
    """The system calls that changed something below ``watched``; the last is the one that was not let through, if it was killed."""
    changes: list[Change] = field(default_factory=list)
    """The same in detail, if they were to be written down."""
    err: str


class Traced:
    """Sends runs to the server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def run(
        self,
        *arguments: object,
        watched: Sequence[Path] = (),
        kill_at: int | None = None,
        refuse_at: int | None = None,
        error: int = errno.EIO,
        is_recorded: bool = False,
    ) -> Run:
        """Run ``main(arguments)``.

        Args:
            arguments: Handed over as strings.
            watched: What is below these directories counts; without any, the run is not traced.
            kill_at: Kill it before this call, counted from 0.
            refuse_at: Let this call fail, without being made.
            error: With this error.
            is_recorded: Write the changes down.
        """
        request = {
            "arguments": [str(argument) for argument in arguments],
            "watched": tuple(f"{path}/" for path in watched),
            "kill_at": kill_at,
            "refuse_at": refuse_at,
            "error": error,
            "is_recorded": is_recorded,
        }
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)


@contextmanager
def traced(module: str) -> Iterator[Traced]:
    """Start the server for a module as long as the context lasts."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OPENBLAS_NUM_THREADS": "1"}
    # Without a language nobody looks for translations, which may be half of all system calls of a run.
    environment |= {"LC_ALL": "C", "LANGUAGE": ""}
    environment.pop("EDGE_PUBLISH_PASSPHRASE", None)
    command = [sys.executable, "-W", "ignore", "-m", "tests.fakes.syscalls", module]
    root = Path(__file__).resolve().parents[2]
    environment["PYTHONPATH"] = os.pathsep.join([str(root), environment["PYTHONPATH"]])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        yield Traced(process)
        process.stdin.close()
        assert process.wait(30) == 0


def _serve(module: str) -> None:
    main = importlib.import_module(module).main
    # Children share what is there already, for as long as nothing writes to it, as collecting garbage does.
    gc.freeze()
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        errors = os.memfd_create("stderr")
        child = os.fork()
        if child == 0:
            _be_the_run(main, request, errors)
        tracer = _Tracer(child, request)
        code = tracer.run() if request["watched"] else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        err = os.pread(errors, 1 << 20, 0).decode(errors="replace")
        os.close(errors)
        pickle.dump(Run(code=code, calls=tracer.calls, changes=tracer.changes, err=err), sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _be_the_run(main, request, errors) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.dup2(errors, 2)
    if request["watched"]:
        _ptrace(_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        _stop_at(list(CALLS))
    try:
        os._exit(main(request["arguments"]))
    except Exception:  # noqa: BLE001 - whatever it is, the run ends here and does not go on as a server
        sys.excepthook(*sys.exc_info())
        os._exit(_FAILED)


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


class _Tracer:
    """Follows one run from stop to stop."""

    def __init__(self, child: int, request) -> None:
        self.calls: list[str] = []
        self.changes: list[Change] = []
        self._child = child
        self._tracee = Tracee(child)
        self._request = request
        self._info = _SyscallInfo()

    def run(self) -> int:
        os.waitpid(self._child, 0)
        _ptrace(_SETOPTIONS, self._child, 0, _TRACE_SECCOMP | _EXITKILL | _SYSGOOD)
        deliver = 0
        while True:
            _ptrace(_CONTINUE, self._child, 0, deliver)
            _, status = os.waitpid(self._child, 0)
            if not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            deliver = 0
            if status >> 16 != _SECCOMP_STOP:
                deliver = os.WSTOPSIG(status)
                continue
            self._read_info()
            name, arguments = CALLS.get(self._info.number, ""), tuple(self._info.arguments)
            path = self._watched_path(name, arguments)
            if path is None:
                continue
            number = len(self.calls)
            self.calls.append(f"{name} {path}")
            if number == self._request["kill_at"]:
                os.kill(self._child, signal.SIGKILL)
                return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])
            if number == self._request["refuse_at"]:
                # No call has this number: none is made, and the result is what is in its register.
                _ptrace(_POKE_USER, self._child, _NUMBER_REGISTER, -1)
                _ptrace(_POKE_USER, self._child, _RESULT_REGISTER, -self._request["error"])
            elif self._request["is_recorded"]:
                self._record(name, arguments, path)

    def _read_info(self) -> None:
        size = ctypes.sizeof(self._info)
        _ptrace(_GET_SYSCALL_INFO, self._child, size, ctypes.addressof(self._info))

    def _watched_path(self, name: str, arguments: Sequence[int]) -> str | None:
        """Return the path of a call that changes something watched, None for any other."""
        path = self._tracee.changed_path(name, arguments)
        return path if path is not None and f"{path}/".startswith(self._request["watched"]) else None

    def _record(self, name: str, arguments: Sequence[int], path: str) -> None:
        """Let a call go on to its end, and write down what it changed if it succeeded."""
        changes = list(changes_of(self._tracee, name, arguments, path))
        _ptrace(_SYSCALL, self._child, 0, 0)
        _, status = os.waitpid(self._child, 0)
        assert os.WIFSTOPPED(status), "it ended within a call"
        assert os.WSTOPSIG(status) == signal.SIGTRAP | 0x80, f"{name} was interrupted"
        self._read_info()
        result = ctypes.c_int64(self._info.number).value
        if result >= 0:
            assert all(not c.data or len(c.data) == result for c in changes), "a write was cut short"
            self.changes += changes


def _ptrace(request: int, process: int, address: int, data: int) -> None:
    if _LIBC.ptrace(request, process, address, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    # Under its real name, so that what is sent is of classes that the other side knows.
    importlib.import_module("tests.fakes.syscalls")._serve(sys.argv[1])
