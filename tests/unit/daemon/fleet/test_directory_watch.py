"""Changes of a directory are noticed by the kernel's word, and by looking where the kernel gives none."""

import asyncio
import shutil

import pytest

from edged.daemon.fleet import directory_watch
from edged.daemon.fleet.directory_watch import DirectoryWatch
from tests.fakes.open_files import open_files
from tests.fakes.patience import PATIENCE_S


class Told:
    """Waits for what the watch says."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self._event.set()

    def forget(self) -> None:
        self._event.clear()

    async def again(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._event.wait()
        self._event.clear()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def quick_looks(monkeypatch):
    """What is looked at each second is looked at more often, so that a test need not wait for it."""
    monkeypatch.setattr(directory_watch, "LOOK_EVERY_S", 0.005)


def replace(directory, name="a", data="x"):
    (directory / f".{name}.new").write_text(data)
    (directory / f".{name}.new").replace(directory / name)


async def test_file_that_is_replaced_by_a_rename_is_told(tmp_path, told):
    with DirectoryWatch(tmp_path, told) as watch:
        assert watch.is_watching
        replace(tmp_path)
        await told.again()


async def test_file_that_is_written_or_removed_is_told(tmp_path, told):
    (tmp_path / "a").write_text("x")
    with DirectoryWatch(tmp_path, told):
        (tmp_path / "a").write_text("y")
        await told.again()
        (tmp_path / "a").unlink()
        await told.again()


async def test_directory_that_comes_later_is_watched_from_then_on(tmp_path, told, quick_looks):
    directory = tmp_path / "ops"
    with DirectoryWatch(directory, told) as watch:
        assert not watch.is_watching
        directory.mkdir()
        while not watch.is_watching:
            await told.again()
        told.forget()
        replace(directory)
        await told.again()


async def test_directory_that_goes_and_comes_back_is_watched_again(tmp_path, told, quick_looks):
    directory = tmp_path / "ops"
    directory.mkdir()
    with DirectoryWatch(directory, told) as watch:
        shutil.rmtree(directory)
        await told.again()
        assert not watch.is_watching
        directory.mkdir()
        while not watch.is_watching:
            await told.again()


async def test_without_inotify_one_looks(tmp_path, told, quick_looks, monkeypatch, caplog):
    """A sandbox or a limit may refuse it; what is said about that is said once."""

    def refuse(_directory):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(directory_watch, "_watch", refuse)
    with DirectoryWatch(tmp_path, told) as watch:
        await told.again()
        await told.again()
        assert not watch.is_watching
    assert caplog.text.count("not at once") == 1


async def test_nothing_is_left_open(tmp_path, told):
    before = open_files()
    with DirectoryWatch(tmp_path, told):
        assert open_files() == before + 1

    assert open_files() == before
