"""edged's services as the processes they are, told what systemd would tell them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edged.codec import encode_canonical
from edged.update.protocol.phases import UpdateStatus
from edged.update.protocol.status_file import read_status
from tests.fakes.gates import short_directory
from tests.fakes.patience import PATIENCE_S
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import StaticHost


@contextmanager
def process(
    module: str,
    *arguments: object,
    command: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module as systemd would, and wait until it says READY; it is killed at the end when it is still there."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(directory / "notify"))
        systemd.settimeout(PATIENCE_S)
        running = subprocess.Popen(
            [*command, sys.executable, "-m", module, *map(str, arguments)],
            env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), **(environ or {})},
            pass_fds=pass_fds,
            stderr=subprocess.DEVNULL,
        )
        try:
            while systemd.recv(1000) != b"READY=1":
                pass
            running.notifications = systemd
            yield running
        finally:
            running.kill()
            running.wait()


def stop(running: subprocess.Popen[bytes]) -> int:
    running.terminate()
    return running.wait(PATIENCE_S)


def wait_for(is_reached: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_reached():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _toml(value: object) -> str:
    """Write a flat value as TOML; JSON's strings, numbers and lists are TOML's."""
    return encode_canonical(value).decode()


@dataclass(frozen=True)
class Site:
    """A repository on a web server of this machine, and the configuration of a device that follows it."""

    publisher: Publisher
    web: StaticHost
    run: Path
    """The device's short-lived files."""
    directory: Path

    @property
    def config(self) -> Path:
        return self.directory / "edged.toml"

    @property
    def store(self) -> Path:
        return self.directory / "store"

    def status(self) -> UpdateStatus:
        """Return what the updater says it does."""
        status = read_status(self.run / "status.json")
        assert status is not None
        return status

    def configure(
        self,
        *,
        poll_interval_s: float = 3600.0,
        is_connected: bool = True,
        update: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """Write the configuration; after a failure nothing is tried again by itself.

        Args:
            poll_interval_s: Seconds between polls.
            is_connected: Whether a repository is configured.
            update: More settings of that section.
        """
        tables = {
            "paths": {
                "store": str(self.store),
                "gate_socket": f"{self.run}/proxy.sock",
                "update_status": f"{self.run}/status.json",
                "update_control": f"{self.run}/control.sock",
                "in_use": f"{self.run}/in-use.json",
            },
            "repository": {
                "url": f"http://localhost:{self.web.port}/" if is_connected else "",
                "root": str(self.publisher.root_metadata),
                "poll_interval_s": poll_interval_s,
            },
            "update": {"disk_reserve_bytes": 0, "backoff_min_s": 3600, **update},
            "egress": {"allow_private": [f"localhost:{self.web.port}"]},
        }
        lines = [
            f"[{name}]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in table.items())
            for name, table in tables.items()
        ]
        self.config.write_text("\n".join(lines))
