"""A device with a history, and a new version waiting for it at its host."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.fakes.power_cuts import Tree
from tests.fakes.repositories import Publisher
from tests.fakes.syscalls import Run, Traced, traced, why_not
from tests.power.recovery import Recovery, lay_out

OLD, ACTIVE, NEW = ("0.8.0", "0.9.0"), "1.0.0", "1.1.0"


@dataclass(frozen=True)
class Device:
    """Copies of one device, on which stages of ``tests.power.driver`` are run."""

    server: Traced
    before: Path
    scratch: Path

    def begin(self) -> Path:
        """Lay out the device as it was before, and return where it is."""
        place = self.scratch / "place"
        shutil.rmtree(place, ignore_errors=True)
        for name in ("device", "run"):
            copy_tree(self.before / name, place / name)
        (place / "repository").symlink_to(self.before / "repository")
        return place

    def boot(self, tree: Tree) -> Path:
        """Lay out the device with this on its disk, and nothing in memory; return where it is."""
        place = self.begin()
        lay_out(place / "device", tree)
        (place / "run" / "in-use.json").unlink()
        return place

    def run(self, place: Path, stage: str, *mistakes: str, **how: object) -> Run:
        """Run a stage; traced if anything is said about how."""
        return self.server.run(place, stage, *mistakes, watched=(place / "device",) if how else (), **how)

    def recovery(self) -> Recovery:
        return Recovery(self.scratch, versions=(ACTIVE, NEW))


@pytest.fixture(scope="session")
def memory(tmp_path_factory):
    """A directory that costs no disk: what is tried here is when something is on a disk, not the disk."""
    shared = Path("/dev/shm")
    if not shared.is_dir():
        yield tmp_path_factory.mktemp("memory")
        return
    directory = Path(mkdtemp(prefix="edged-power-", dir=shared))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def device(memory):
    """One device: ``OLD`` versions in its store, ``ACTIVE`` active, the one before it to fall back to, ``NEW`` published."""
    if reason := why_not():
        pytest.skip(reason)
    place = memory / "before"
    for name in ("device/state", "run"):
        (place / name).mkdir(parents=True)
    publisher = Publisher(place)
    with traced("tests.power.driver") as server:
        for version in (*OLD, ACTIVE):
            publisher.release(version)
            for stage in ("refresh", "activate"):
                run = server.run(place, stage)
                assert run.code == 0, run.err
        publisher.release(NEW)
        scratch = memory / "scratch"
        scratch.mkdir()
        yield Device(server, place, scratch)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree with its hard links."""
    linked: dict[int, Path] = {}

    def copy(old: str, new: str) -> str:
        number = Path(old).stat().st_ino
        if number in linked:
            Path(new).hardlink_to(linked[number])
        else:
            shutil.copy2(old, new)
            linked[number] = Path(new)
        return new

    shutil.copytree(source, target, copy_function=copy)
