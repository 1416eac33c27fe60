"""A device for the checks beside this file: Debian 13 with its own systemd, booted in a container that leaves nothing behind.

The container runs over a throw-away copy of a root file system (``tools/container``). Commands run inside it as transient units
of its own service manager, so that users, groups, environment and cgroups are those of the device and not of the caller.
"""

import fcntl
import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TOP = Path(__file__).resolve().parents[2]
POLL_S = 0.1


class DeviceError(Exception):
    """A command in the device failed, or the device did not get where it should in time."""


class Device:
    """Boots on entry, is switched off on exit.

    Args:
        root: A root file system made by ``tools/rootfs device``; it is not written to.
        binds: Directories of the host that the device sees read-only, by their path in the device.
        console: Where the device's console goes.
    """

    def __init__(self, root: Path, *, binds: Mapping[str, Path], console: Path) -> None:
        self._root = root
        self._options = [f"--bind-ro={source}:{path}" for path, source in binds.items()]
        self._console = console
        self._leader = 0

    def __enter__(self) -> Self:
        """Boot, and wait until the service manager has started everything.

        Raises:
            DeviceError: It did not come up in two minutes; the message ends with the last lines of its console.
        """
        self._lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        # tools/rootfs takes this lock exclusively before it removes a root file system.
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._scratch = tempfile.mkdtemp(prefix="edged-device-")
        with self._console.open("wb") as console:
            self._process = subprocess.Popen(
                [str(TOP / "tools/container"), self._scratch, str(self._root), "--boot"],
                env={
                    **os.environ,
                    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                    "CONTAINER_OPTIONS": "\n".join(self._options),
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_for_boot()
        except BaseException:
            self._switch_off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Power off; a device that does not obey within 30 s loses its power."""
        subprocess.run([*self._enter(), "systemctl", "poweroff"], capture_output=True, check=False)
        self._switch_off(grace_s=30.0)

    def run(
        self,
        command: str | Sequence[str],
        *,
        user: str = "root",
        data: bytes = b"",
        timeout_s: float = 60.0,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the device and return its exit code and output.

        Args:
            command: Words, or one string for the device's shell.
            user: Who runs it, with the groups that the device's user database gives.
            data: What it reads on standard input.
            timeout_s: Longest time it may take.
            check: Whether an exit code other than zero is an error.

        Raises:
            DeviceError: It took too long, or failed while ``check`` is set.
        """
        words = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        unit = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec", f"--uid={user}"]
        try:
            done = subprocess.run(
                [*self._enter(), *unit, "--", *words], input=data, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as exc:
            raise DeviceError(f"{command!r} took longer than {timeout_s} s") from exc
        result = subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())
        if check and result.returncode:
            raise DeviceError(f"{command!r} as {user} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
        return result

    def output(self, command: str | Sequence[str], *, user: str = "root") -> str:
        """Run a command that has to succeed and return what it printed, without the last newline."""
        return self.run(command, user=user).stdout.rstrip("\n")

    def write(self, path: str, text: str) -> None:
        """Put a file into the device, with its directories."""
        self.run(f"mkdir -p {shlex.quote(str(Path(path).parent))} && cat >{shlex.quote(path)}", data=text.encode())

    def wait_for(self, command: str, *, timeout_s: float) -> str:
        """Run a command again and again until it succeeds, and return what it printed.

        Raises:
            DeviceError: It never did; the message has what it said last.
        """
        deadline = time.monotonic() + timeout_s
        while (done := self.run(command, check=False)).returncode:
            if time.monotonic() > deadline:
                raise DeviceError(f"{command!r} did not succeed within {timeout_s} s:\n{done.stdout}{done.stderr}")
            time.sleep(POLL_S)
        return done.stdout

    def _enter(self) -> list[str]:
        return [
            "nsenter",
            f"--target={self._leader}",
            "--all",
            "--wd=/",
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin",
            "LC_ALL=C.UTF-8",
        ]

    def _wait_for_boot(self) -> None:
        deadline = time.monotonic() + 120.0
        state = ""
        # "degraded" is up as well: which units failed is for the checks to say.
        while state not in {"running", "degraded"}:
            if time.monotonic() > deadline or self._process.poll() is not None:
                tail = self._console.read_text(errors="replace")[-2000:]
                raise DeviceError(
                    f"the device did not boot (last state: {state or 'none'}); its console ends with:\n{tail}"
                )
            time.sleep(POLL_S)
            self._leader = self._leader or _first_process(self._process.pid)
            if self._leader:
                asked = subprocess.run(
                    [*self._enter(), "systemctl", "is-system-running"], capture_output=True, check=False
                )
                state = asked.stdout.decode().strip()

    def _switch_off(self, *, grace_s: float = 0.0) -> None:
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._lock)
        Path(self._scratch).rmdir()


def _first_process(outermost: int) -> int:
    """Return the process that is number 1 inside the container, or 0 while there is none.

    Two namespaces down from ``outermost``: the one that tools/container makes, whose first process is systemd-nspawn, and the
    container's own. ``NSpid`` in proc_pid_status(5) lists a process's number in each.
    """
    waiting = [outermost]
    while waiting:
        process = waiting.pop()
        try:
            status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
            waiting += map(int, Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split())
        except FileNotFoundError:
            # It ended meanwhile.
            continue
        numbers = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        if len(numbers) == len(_own_numbers()) + 2 and numbers[-1] == "1":
            return process
    return 0


def _own_numbers() -> list[str]:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
