"""A device that runs, its operators, and bundles with rules for when the model cannot answer."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edged.cli.http import Client as Http
from edged.client import Client, Result
from edged.store.history import History
from tests.fakes.bundles import make_bundle
from tests.fakes.daemons import HELLO
from tests.fakes.live_daemons import LiveDaemon, live_daemon
from tests.fakes.store_documents import StoreDocuments

CONSTANT = """
[[fallback]]
use = "constant"
outputs = [{ name = "sum", dtype = "FP32", shape = [1, 1], data = [-1.0] }]
"""
PREVIOUS = '[[fallback]]\nuse = "previous-version"\n'
SMALLER = '[[fallback]]\nuse = "smaller-variant"\n'
SMALL_VARIANT = """
[[variants]]
model = "adder.onnx"
tier = "memory"
precision = "int8"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 1000.0, memory_bytes = 67108864 }
"""


class Stoppable:
    """A live device with the adder, and an operator who writes documents for it."""

    def __init__(self, device: LiveDaemon, directory: Path) -> None:
        self.device = device
        self.documents = StoreDocuments(device.layout)
        self._directory = directory

    def install(self, version: str, **options: Any) -> Path:
        """Put a version of the adder into the store; what it adds to each sum is its minor number."""
        bundle = make_bundle(self._directory, version=version, more=float(version.split(".")[1]), **options)
        self.device.install(bundle)
        return bundle

    def activate(self, version: str, **options: Any) -> None:
        """Have a version answer, and be good."""
        self.install(version, **options)
        self.documents.roll_out(adder=version)
        self.wait_until(
            lambda: self.model["state"] == "serving" and self.state_of(version) == "good", f"good {version}"
        )

    def ask(self, data: bytes = HELLO, **options: Any) -> Result:
        """Ask the adder over HTTP."""
        with self.client() as client:
            return client.infer("adder", {"file": data}, **options)

    def client(self, *, shares_memory: bool = False) -> Client:
        device = self.device
        return Client(str(device.app_socket), tensor_path=str(device.tensor_socket) if shares_memory else None)

    def get(self, path: str) -> Any:
        with self.client() as client:
            return client.get(path)

    @property
    def model(self) -> dict[str, Any]:
        """The adder, in the status document."""
        models = {model["name"]: model for model in self.get("/edged/v1/status")["models"]}
        return models.get("adder", {"state": "absent", "slots": [], "worker": None})

    def state_of(self, version: str) -> str:
        """The state of the slot with a version."""
        return next((slot["state"] for slot in self.model["slots"] if slot["version"] == version), "none")

    @property
    def history(self) -> list[str]:
        """What happened to the device, oldest first; what happens is kept a moment after it took effect."""
        found = Http(str(self.device.admin_socket)).get("/edged/v1/history", History)
        return [entry.what for entry in reversed(found.entries)]

    def metric(self, name: str) -> float:
        """A metric of the adder."""
        text = Http(str(self.device.app_socket)).request("GET", "/metrics").body.decode()
        found = re.search(rf'(?m)^{name}{{model="adder"[^}}]*}} (\S+)$', text)
        return float(found[1]) if found else float("nan")

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        self.device.wait_until(is_so, what)


@contextmanager
def stoppable(directory: Path) -> Iterator[Stoppable]:
    """Make it; the test starts the daemon."""
    with live_daemon() as device:
        device.configure({"trial": {"min_s": 0}, "repository": {"poll_interval_s": 7}})
        yield Stoppable(device, directory)
