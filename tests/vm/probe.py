"""Try what a sandboxed unit must not be able to do, and print as JSON what came of each attempt.

Runs inside the sandbox of a unit (``test_sandbox.py`` puts it there), so it uses what is installed there only. Each attempt ends as
"allowed" or as the name of the error that stopped it.
"""

import contextlib
import ctypes
import json
import mmap
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
# System calls without a function in the C library (kernel tables; those from 424 on are the same everywhere).
NUMBERS = {
    "x86_64": {"add_key": 248, "keyctl": 250, "kcmp": 312, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298},
    "aarch64": {"add_key": 217, "keyctl": 219, "kcmp": 272, "bpf": 280, "userfaultfd": 282, "perf_event_open": 241},
}[platform.machine()] | {"io_uring_setup": 425, "pidfd_getfd": 438}
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PTRACE_TRACEME = 0
WRITABLE = (
    "/dev/shm",
    "/run/edged-daemon",
    "/run/edged-link",
    "/run/edged-presence",
    "/run/edged-update",
    "/tmp",
    "/var/lib/edged",
    "/var/lib/edged-store",
    "/var/tmp",
)
SEALED = (
    "/",
    "/dev",
    "/etc",
    "/etc/edged",
    "/home",
    "/proc/sys/kernel",
    "/root",
    "/run",
    "/run/edged",
    "/sys/kernel",
    "/usr/lib",
    "/var/lib",
)
HIDDEN = (
    "/bin/sh",
    "/run/dbus/system_bus_socket",
    "/run/edged-egress/proxy.sock",
    "/run/edged-offload/offload.sock",
    "/run/edged/admin.sock",
    "/run/systemd/private",
    "/usr/bin/sh",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/var/lib/edged",
    "/var/lib/edged-store",
)


def check(result: int) -> None:
    """Turn a C library's -1 into the error it stands for."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def call(name: str, *arguments: int) -> None:
    """Make a system call by number; zeros stand for what a refused call never looks at."""
    check(LIBC.syscall(NUMBERS[name], *(arguments or (0, 0, 0, 0, 0))))


def write_into(directory: str) -> None:
    """Make a file and remove it again."""
    path = Path(directory, "probe")
    path.write_bytes(b"x")
    path.unlink()


def execute_from(directory: str) -> None:
    """Run a copy of the interpreter, the only program there is."""
    program = shutil.copy("/usr/bin/python3", Path(directory, "probe-program"))
    try:
        subprocess.run([program, "-c", ""], check=True)
    finally:
        program.unlink()


def load_from(directory: str) -> None:
    """Load a copy of a shared library."""
    library = Path(directory, "probe.so")
    library.write_bytes(next(Path("/usr/lib").glob("*/libz.so.1")).read_bytes())
    try:
        ctypes.CDLL(str(library))
    finally:
        library.unlink()


def make_set_uid(directory: str) -> None:
    """Make a file that would run as its owner."""
    path = Path(directory, "probe-suid")
    path.write_bytes(b"x")
    try:
        path.chmod(stat.S_ISUID | 0o755)
    finally:
        path.unlink()


def make_code() -> None:
    """Map memory that can be written and executed."""
    mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def see_others() -> None:
    """Find a process of another user."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.stat().st_uid != os.getuid():
            return
    raise FileNotFoundError(2, "no process of another user")


def run_shell() -> None:
    """Start a shell."""
    subprocess.run("true", shell=True, check=True)


def resolve() -> None:
    """Look a name up without the network."""
    socket.getaddrinfo("localhost", 80)


def confine_itself() -> None:
    """Put on what a worker puts on, in a child, because it cannot be taken off again."""
    from edged.worker.confine import filter_calls, forbid_files

    child = os.fork()
    if not child:
        os._exit(sum(bool(missing) << i for i, missing in enumerate((forbid_files(), filter_calls()))))
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise subprocess.CalledProcessError(code, "confine itself")


def look_at_a_worker() -> None:
    """Read how long processors were busy with a child that has put on what a worker puts on."""
    from edged.energy.processors import read_processor_s
    from edged.worker.confine import filter_calls, forbid_files

    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        forbid_files()
        filter_calls()
        os.write(theirs.fileno(), b"x")
        os.read(theirs.fileno(), 1)
        os._exit(0)
    theirs.close()
    is_confined = os.read(ours.fileno(), 1) == b"x"
    used_s = read_processor_s(child)
    ours.close()
    os.waitpid(child, 0)
    if not is_confined or used_s is None:
        raise FileNotFoundError(2, "nothing is known of the child")


def attempts() -> dict[str, Callable[[], object]]:
    """Name everything that is tried."""
    families = ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_UNIX", "AF_VSOCK")
    tries: dict[str, Callable[[], object]] = {
        f"socket {name}": lambda name=name: socket.socket(getattr(socket, name), socket.SOCK_DGRAM).close()
        for name in families
    }
    tries |= {f"write {path}": lambda path=path: write_into(path) for path in (*WRITABLE, *SEALED)}
    tries |= {f"execute {path}": lambda path=path: execute_from(path) for path in WRITABLE}
    tries |= {f"load {path}": lambda path=path: load_from(path) for path in WRITABLE}
    tries |= {f"set-uid {path}": lambda path=path: make_set_uid(path) for path in WRITABLE}
    tries |= {f"see {path}": lambda path=path: Path(path).stat() for path in HIDDEN}
    tries |= {f"call {name}": lambda name=name: call(name) for name in NUMBERS}
    return tries | {
        "become root": lambda: os.setuid(0),
        "confine itself": confine_itself,
        "fork": lambda: os.waitpid(os.fork() or os._exit(0), 0),
        "look at a worker": look_at_a_worker,
        "limit memory": lambda: __import__("resource").prlimit(0, __import__("resource").RLIMIT_CORE, (0, 0)),
        "make code": make_code,
        "memfd_create": lambda: os.close(os.memfd_create("probe")),
        "mount": lambda: check(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        "namespace": lambda: check(LIBC.unshare(CLONE_NEWUSER)),
        "network namespace": lambda: check(LIBC.unshare(CLONE_NEWNET)),
        "ptrace": lambda: check(LIBC.ptrace(PTRACE_TRACEME, 0, 0, 0)),
        "read /etc/machine-id": Path("/etc/machine-id").read_bytes,
        "read /proc/cpuinfo": Path("/proc/cpuinfo").read_bytes,
        "read /sys/class": lambda: list(Path("/sys/class").iterdir()),
        "real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
        "resolve": resolve,
        "see other users' processes": see_others,
        "shell": run_shell,
        "System V memory": lambda: check(LIBC.shmget(0, 4096, 0o600)),
    }


def outcome(attempt: Callable[[], object]) -> str:
    """Run one attempt and name how it ended."""
    try:
        attempt()
    except OSError as exc:
        return type(exc).__name__ if exc.errno is None else f"{type(exc).__name__} {os.strerror(exc.errno)}"
    except subprocess.CalledProcessError as exc:
        return f"exit code {exc.returncode}"
    return "allowed"


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        json.dump({name: outcome(attempt) for name, attempt in attempts().items()}, sys.stdout)
        sys.stdout.write("\n")
