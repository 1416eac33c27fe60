"""A device with edged installed from its packages. ``tools/vm-test`` boots it; nothing here runs without that."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm.asking import infer, start_host
from tests.vm.device import TOP, Device

# Set by tools/vm-test, which makes what these tests need; a plain "pytest" does not collect them.
ROOT = os.environ.get("EDGED_DEVICE_ROOT")
collect_ignore_glob = [] if ROOT else ["test_*.py"]

PORT = 8080
FIGURES = pytest.StashKey[list[str]]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file and what the model says it is."""

    path: str
    label: str
    score: float


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What changes the one device for all tests comes last: a life full of failures, then the purge."""
    last = ["test_life.py", "test_uninstall.py"]
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)


def pytest_terminal_summary(terminalreporter):
    """Print what was measured on the way."""
    for line in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(f"measured: {line}")


@pytest.fixture(scope="session")
def measured(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a measured figure to print at the end."""
    return pytestconfig.stash.setdefault(FIGURES, []).append


@pytest.fixture(scope="session")
def samples() -> tuple[Sample, ...]:
    """The demonstration's files, as the device sees them, with the answers of the model's own package."""
    expected = json.loads(Path(os.environ["EDGED_DEMO"], "expected.json").read_text(encoding="utf-8"))
    return tuple(
        Sample(path=f"/srv/demo/{entry['file']}", label=entry["label"], score=entry["score"]) for entry in expected
    )


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """A booted device with the three packages installed by apt, without a network, and three users: app, admin and outsider."""
    console = tmp_path_factory.mktemp("device") / "console.log"
    made = {"/srv/dist": Path(os.environ["EDGED_DIST"]), "/srv/demo": Path(os.environ["EDGED_DEMO"])}
    binds = {**made, "/srv/vm": TOP / "tests/vm"}
    with Device(Path(ROOT or ""), binds=binds, console=console) as booted:
        booted.run("apt-get -q -y install /srv/dist/*.deb", timeout_s=300.0)
        # adduser is not part of the minimal system.
        booted.run(
            "useradd --create-home --groups edged app && useradd --create-home --groups edged-admin admin"
            " && useradd --create-home outsider"
        )
        yield booted
        if request.session.testsfailed:
            # The journal is the best witness, and the device is about to go.
            print(booted.output("journalctl --no-pager -o short-precise -u 'edged*' -u host -n 300"))  # noqa: T201


@pytest.fixture(scope="session")
def serving(device: Device, samples: tuple[Sample, ...]) -> Device:
    """The device, once it has fetched the demonstration's model from a host of its own and answers with it."""
    start_host(device, PORT)
    device.run("install -m 0644 /srv/demo/repo/metadata/1.root.json /etc/edged/root.json")
    device.write(
        "/etc/edged/edged.toml.d/50-repository.toml",
        f'[repository]\nurl = "http://localhost:{PORT}/"\npoll_interval_s = 5.0\n'
        f'[egress]\nallow_private = ["localhost:{PORT}"]\n[trial]\nmin_s = 0.0\n',
    )
    device.run("systemctl restart edged-egress.service edged-update.service edged.service")
    device.wait_for(f"runuser -u app -- {infer(samples[0].path)} --fail --silent --output /dev/null", timeout_s=90.0)
    return device
