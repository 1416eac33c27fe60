"""What a confined process tries (``tests.fakes.confined``): each attempt works in a process that nobody confined."""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edged.worker.confine import set_name
from edged.worker.seccomp import LIBRARY

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
FIOCLEX = 0x5451


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the process has from before it confined itself."""

    directory: Path
    """With files for the attempts on paths."""
    file: int
    """A regular file of 4096 bytes, open for reading and writing."""
    datagrams: socket.socket
    """A Unix socket without a name."""
    stream: socket.socket
    """A Unix socket that is not connected."""
    called: socket.socket
    """A listening Unix socket with somebody waiting at it."""
    parent: int
    """A process of the same user that is not confined."""
    abstract: str
    """Name of an abstract Unix socket that another process listens on."""
    port: int
    """TCP port of 127.0.0.1 that another process listens on."""


def check(result: int) -> None:
    """Turn a C library's -1 into the error it stands for."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def call(name: str) -> None:
    """Make a system call with zeros, at which a filter that refuses it does not look."""
    number = LIBRARY.resolve_syscall(LIBRARY.Arch.NATIVE, name)
    result = LIBC.syscall(ctypes.c_long(number), *(ctypes.c_long(0) for _ in range(6)))
    if name.startswith("clone") and not result:
        os._exit(0)
    check(result)


def start_thread() -> None:
    """Start a thread in C: Python's own error does not tell the reason."""
    thread = ctypes.c_ulong()
    if error := LIBC.pthread_create(ctypes.byref(thread), None, LIBC.getpid, None):
        raise OSError(error, os.strerror(error))
    LIBC.pthread_join(thread, None)


def make_code() -> None:
    """Fill memory, then ask to execute it, as compilers at run time do."""
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    check(LIBC.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC))


def connect(family: socket.AddressFamily, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(address)


ATTEMPTS: dict[str, Callable[[Held], object]] = {
    # Files.
    "change a mode": lambda held: (held.directory / "changed").chmod(0o600),
    "change directory": lambda held: os.chdir(held.directory),
    "cut what it holds": lambda held: os.ftruncate(held.file, 4096),
    "follow a link": lambda _: Path("/proc/self/exe").readlink(),
    "list a directory": lambda held: list(os.scandir(held.directory)),
    "look at a path": lambda held: held.directory.stat(),
    "make a directory": lambda held: (held.directory / "made").mkdir(),
    "make a file": lambda held: os.close(os.open(held.directory / "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY)),
    "make a link": lambda held: (held.directory / "link").symlink_to("/"),
    "make a socket with a name": lambda held: held.datagrams.bind(str(held.directory / "socket")),
    "make an unnamed file": lambda held: os.close(os.open(held.directory, os.O_TMPFILE | os.O_RDWR)),
    "name a path": lambda held: os.close(os.open(held.directory, os.O_PATH)),
    "read a file": lambda held: (held.directory / "read").read_bytes(),
    "read its own memory": lambda _: os.close(os.open("/proc/self/mem", os.O_RDONLY)),
    "remove a file": lambda held: (held.directory / "removed").unlink(),
    "rename a file": lambda held: (held.directory / "renamed").rename(held.directory / "renamed-2"),
    "reopen what it holds": lambda held: os.close(os.open(f"/proc/self/fd/{held.file}", os.O_RDWR)),
    "watch files": lambda _: check(LIBC.inotify_init1(0)),
    "write a file": lambda held: (held.directory / "written").write_bytes(b"x"),
    # Sockets and other ways to somebody else.
    "accept": lambda held: held.called.accept(),
    "choose another process's cores": lambda _: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0)),
    "connect to an abstract socket": lambda held: connect(socket.AF_UNIX, held.abstract),
    "connect to TCP": lambda held: connect(socket.AF_INET, ("127.0.0.1", held.port)),
    "connect what it holds": lambda held: held.stream.connect(held.called.getsockname()),
    "inet socket": lambda _: socket.socket(socket.AF_INET).close(),
    "listen": lambda held: held.called.listen(),
    "pipe": lambda _: os.pipe(),
    "set an option of a socket": lambda held: held.stream.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1),
    "socket pair": lambda _: socket.socketpair(),
    "unix socket": lambda _: socket.socket(socket.AF_UNIX).close(),
    # Processes.
    "fork": lambda _: os.waitpid(os.fork() or os._exit(0), 0),
    "hold a process": lambda _: os.close(os.pidfd_open(os.getpid())),
    "signal its group": lambda _: os.kill(0, 0),
    "signal its parent": lambda held: os.kill(held.parent, 0),
    "start a program": lambda _: os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}), 0),
    "start a thread": lambda _: start_thread(),
    # Code and memory.
    "anonymous file": lambda _: os.close(os.memfd_create("attempt")),
    "make code": lambda _: make_code(),
    "map code": lambda _: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    # Itself and what it holds.
    "ask for signals": lambda held: fcntl.fcntl(held.stream, fcntl.F_SETOWN, os.getpid()),
    "change a limit": lambda _: check(LIBC.setrlimit(resource.RLIMIT_CORE, (ctypes.c_ulong * 2)(0, 0))),
    "change its name": lambda _: set_name("attempt"),
    "change its priority": lambda _: os.nice(0),
    "control a device": lambda held: fcntl.ioctl(held.file, FIOCLEX),
    "epoll": lambda _: select.epoll().close(),
    "eventfd": lambda _: os.close(os.eventfd(0)),
}
# System calls that need privileges, or that other sandboxes around the tests refuse, too.
CALLS = (
    *("add_key", "bpf", "clone", "clone3", "execveat", "fanotify_init", "fsopen", "io_setup", "io_uring_enter"),
    *(
        "io_uring_register",
        "io_uring_setup",
        "kcmp",
        "keyctl",
        "landlock_restrict_self",
        "memfd_secret",
        "mount",
        "mq_open",
    ),
    *(
        "name_to_handle_at",
        "open_by_handle_at",
        "open_tree",
        "openat2",
        "perf_event_open",
        "personality",
        "pidfd_getfd",
    ),
    *(
        "pidfd_send_signal",
        "pkey_mprotect",
        "prctl",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
    ),
    *(
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "sched_setattr",
        "seccomp",
        "setns",
        "setresuid",
        "setsid",
    ),
    *("shmat", "shmget", "tkill", "unshare", "userfaultfd", "vfork", "vmsplice"),
)


def outcome(attempt: Callable[[], object]) -> str:
    """Make an attempt; return "allowed" or the name of the error that stopped it."""
    try:
        attempt()
    except OSError as exc:
        return errno.errorcode.get(exc.errno or 0, str(exc))
    return "allowed"
