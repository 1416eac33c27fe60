"""Start servers as processes of their own, and read from /proc what they use."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

START_WITHIN_S: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class ServerFailedError(Exception):
    """A server did not start, or ended by itself."""


@contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the context ends; its process group gets SIGTERM, and SIGKILL when that is not enough."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - commands are the benchmark's own
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Not a session of its own: the kernel may give each session one share of the processor (sched(7), autogroup), which a
            # server of several processes would have to divide.
            process_group=0,
            env={**os.environ, **(environment or {})},
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM) if process.poll() is None else None
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until(is_so: Callable[[], bool], what: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for something a server does.

    Raises:
        ServerFailedError: It ended, or took too long; with the end of its log.
    """
    end_s = time.monotonic() + START_WITHIN_S
    while not is_so():
        if process.poll() is not None or time.monotonic() > end_s:
            raise ServerFailedError(f"{what}: {log.read_text(errors='replace')[-1500:]}")
        time.sleep(0.005)


def unix_connection(path: Path) -> socket.socket:
    """Connect to a Unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(str(path))
    return sock


def tree_of(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process tree has used, user and system."""
    total = 0
    for member in tree_of(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def pss_bytes(pid: int) -> dict[str, int]:
    """Return the proportional set size of each process of a tree, by name and number; one that has just ended has none."""
    sizes = {}
    for member in tree_of(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
            name = Path(f"/proc/{member}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        sizes[f"{name}[{member}]"] = kilobytes << 10
    return sizes
