"""The real daemon as a process of its own, with this side in the service manager's place: sockets that outlive it, and notifications."""

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edged.client import Client
from edged.ids import ModelName, Version
from edged.sockets import bind_unix
from edged.store.layout import StoreLayout
from tests.fakes.gates import short_directory
from tests.fakes.patience import PATIENCE_S

_LOOK_S: Final = 1.0
"""Most that one look counts: on a machine that was paused, nobody had the time that passed."""
_HIGH: Final = 100
"""Above the numbers at which a daemon expects what it inherits."""
_TOLD: Final = "\ntold\n"
"""At the end of what a daemon says of itself on a signal."""

# Does what the service manager does between fork(2) and execve(2). The daemon looks at its store more often than on a device, so that
# many updates take little time, and writes down sooner what speaks against a version; and it says on a signal what it waits for. All
# else is as ever.
_LAUNCH: Final = """\
import asyncio, faulthandler, os, signal, sys
descriptors, names, look_every_s, config = sys.argv[1:]
for number, descriptor in enumerate(descriptors.split(","), 3):
    os.dup2(int(descriptor), number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(names.split(","))), "LISTEN_FDNAMES": names.replace(",", ":")}
def tell(*_):
    for task in asyncio.all_tasks():
        task.print_stack()
    faulthandler.dump_traceback()
    print("told", file=sys.stderr, flush=True)
signal.signal(signal.SIGUSR1, tell)
from edged.daemon import __main__
from edged.daemon.lifecycle import lifecycle, trials
lifecycle.LOOK_EVERY_S = trials.TROUBLE_EVERY_S = float(look_every_s)
sys.exit(__main__.main(["--config", config]))
"""


class LiveDaemon:
    """A device: its directories, its sockets, and the daemon while it runs."""

    def __init__(self, directory: Path, *, look_every_s: float) -> None:
        self.directory = directory
        self.layout = StoreLayout(directory / "store")
        self.layout.ops.mkdir(parents=True)
        self.app_socket, self.admin_socket = directory / "app.sock", directory / "admin.sock"
        self.tensor_socket = directory / "tensor.sock"
        self.process: subprocess.Popen[str] | None = None
        self._rollout: dict[str, dict[str, str]] = {}
        self._look_every_s = look_every_s
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(directory / "notify.sock"))
        self._log = (directory / "log").open("w")
        self._listeners: dict[str, socket.socket] = {}
        for name, path, kind in (
            ("app", self.app_socket, socket.SOCK_STREAM),
            ("admin", self.admin_socket, socket.SOCK_STREAM),
            ("tensor", self.tensor_socket, socket.SOCK_SEQPACKET),
        ):
            with bind_unix(path, mode=0o600, kind=kind) as listener:
                self._listeners[name] = socket.socket(fileno=fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, _HIGH))
        self.configure()

    @property
    def log(self) -> str:
        """What the daemon has said."""
        return (self.directory / "log").read_text()

    def configure(self, sections: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Write the settings; they apply from the next start or reload."""
        paths = {
            "store": self.layout.root,
            "state": self.directory,
            "app_socket": self.app_socket,
            "admin_socket": self.admin_socket,
            "tensor_socket": self.tensor_socket,
            "gate_socket": self.directory / "proxy.sock",
            "link_status": self.directory / "link.json",
            "presence": self.directory / "presence.json",
            "offload_socket": self.directory / "offload.sock",
            "update_status": self.directory / "update.json",
            "frequency_wish": self.directory / "frequency.json",
            "in_use": self.directory / "in-use.json",
        }
        text = ""
        # Versions prove themselves at once where a test does not say otherwise.
        for section, values in ({"paths": paths, "trial": {"min_s": 0.0}} | dict(sections or {})).items():
            text += f"[{section}]\n" + "".join(
                f"{key} = {json.dumps(value, default=str)}\n" for key, value in values.items()
            )
        (self.directory / "edged.toml").write_text(text)

    def install(self, bundle: Path) -> None:
        """Put a bundle into the store as the updater would; it is of no consequence until a rollout names it."""
        name, _, version = bundle.name.rpartition("-")
        target = self.layout.bundle(ModelName(name), Version.parse(version))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(bundle, target)

    def roll_out(self, model: str, version: str) -> None:
        """Have the rollout name a version; the daemon follows soon."""
        self._rollout[model] = {"version": version}
        document = {"schema": 1, "issued": "2026-11-22T10:00:00Z", "models": self._rollout}
        new = self.layout.rollout.with_suffix(".new")
        new.write_text(json.dumps(document))
        new.replace(self.layout.rollout)

    def start(self) -> None:
        """Start the daemon, and wait until it says that it is ready."""
        descriptors = [listener.fileno() for listener in self._listeners.values()]
        arguments = [",".join(map(str, descriptors)), ",".join(self._listeners), str(self._look_every_s)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *arguments, str(self.directory / "edged.toml")],
            pass_fds=descriptors,
            env={**os.environ, "NOTIFY_SOCKET": str(self.directory / "notify.sock")},
            stderr=self._log,
            text=True,
        )
        self._hear("READY=1")

    @property
    def own_bytes(self) -> int:
        """Memory of the daemon's own process, without what is the files'."""
        return _own_bytes(self._running().pid)

    @property
    def all_bytes(self) -> int:
        """As much of it, of the template and of all workers; what a fork shares is counted for each."""
        return self.own_bytes + sum(map(_own_bytes, self._templates | self.workers))

    @property
    def workers(self) -> set[int]:
        """The processes that have been forked for models and are not gone."""
        return {worker for template in self._templates for worker in _children(template)}

    @property
    def _templates(self) -> set[int]:
        return _children(self._running().pid)

    def wait_for_model(self, name: str) -> None:
        """Wait until a model answers."""
        with Client(str(self.app_socket), tensor_path=None) as client:
            self.wait_until(lambda: name in {model["name"] for model in client.models()}, f"answer of {name}")

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait for something that the daemon does, which no clock of ours can hurry."""
        for _ in _while_patient():
            if is_so():
                return
        raise AssertionError(f"no {what}; the daemon said:\n{self.log}\n\n{self._explain()}")

    def stop(self) -> int:
        """Have it stop; returns its exit code. The sockets take connections meanwhile, and keep them for the next start."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(PATIENCE_S)
        finally:
            self.process = None
            self._forget()

    def kill(self) -> None:
        """End it without a word, if it runs; its workers follow by themselves."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self._forget()

    def reload(self) -> None:
        """Have it read its settings again, and wait until it has."""
        self._running().send_signal(signal.SIGHUP)
        self._hear("RELOADING=1")
        self._hear("READY=1")

    def close(self) -> None:
        """Stop the daemon if it runs, and close everything."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._log.close)
            stack.enter_context(self._notify)
            for listener in self._listeners.values():
                stack.enter_context(listener)
            if self.process is not None and self.process.poll() is None:
                self.stop()

    def _running(self) -> subprocess.Popen[str]:
        assert self.process is not None, "the daemon was not started"
        return self.process

    def _hear(self, what: str) -> None:
        """Wait until the daemon tells the service manager something."""
        for _ in _while_patient():
            if select.select([self._notify], [], [], 0.1)[0]:
                if what in self._notify.recv(4096).decode().splitlines():
                    return
            elif self._running().poll() is not None:
                break
        raise AssertionError(f"the daemon did not say {what}; it said:\n{self.log}")

    def _explain(self) -> str:
        """Return what the daemon, its template and its workers wait for."""
        known = len(self.log)
        self._running().send_signal(signal.SIGUSR1)
        for _ in _while_patient():
            if _TOLD in self.log[known:]:
                break
        processes = [self._running().pid, *self._templates, *self.workers]
        return "\n".join([self.log[known:], *(line for pid in processes for line in _describe(pid))])

    def _forget(self) -> None:
        while select.select([self._notify], [], [], 0)[0]:
            self._notify.recv(4096)


def _while_patient() -> Iterator[None]:
    waited_s, seen_s = 0.0, time.monotonic()
    while waited_s < PATIENCE_S:
        yield
        now_s = time.monotonic()
        waited_s += min(now_s - seen_s, _LOOK_S)
        seen_s = now_s


def _children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _describe(pid: int) -> Iterator[str]:
    """Say of each thread of a process what it waits for in the kernel, as far as that tells."""
    for thread in sorted(Path(f"/proc/{pid}/task").iterdir()):
        facts = []
        for name in ("comm", "wchan", "syscall", "stack"):
            try:
                facts.append((thread / name).read_text().strip())
            except OSError as exc:
                facts.append(str(exc.strerror))
        yield f"{pid}/{thread.name}: {' | '.join(facts)}"


def _own_bytes(pid: int) -> int:
    """Return what a process has in memory for itself alone; 0 of one that ends just now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = status.partition("RssAnon:")[2].split()
    return int(found[0]) << 10 if found else 0


@contextmanager
def live_daemon(*, look_every_s: float = 0.02) -> Iterator[LiveDaemon]:
    """Make a device; the test starts its daemon."""
    with short_directory() as directory:
        device = LiveDaemon(directory, look_every_s=look_every_s)
        try:
            yield device
        finally:
            device.close()
