"""What a service on an event loop tells systemd."""

import asyncio
import socket

import pytest

from edged.event_loop import feed_watchdog
from edged.notify import Notifier
from tests.fakes.gates import short_directory


@pytest.fixture
def systemd(monkeypatch):
    """A notification socket as systemd has it."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(directory / "notify"))
        listener.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(directory / "notify"))
        yield listener


@pytest.fixture
def notifier(systemd):
    made = Notifier()
    yield made
    made.close()


async def test_watchdog_is_fed_only_while_work_goes_on(systemd, notifier):
    """The ping that a stalled part withholds is the one systemd acts on."""
    notifier.watchdog_interval_s = 0.001
    answers = iter([True, False, False, True])
    asked = asyncio.Event()

    def is_alive() -> bool:
        answer = next(answers, None)
        if answer is None:
            asked.set()
        return bool(answer)

    task = asyncio.create_task(feed_watchdog(notifier, is_alive))
    async with asyncio.timeout(60):
        await asked.wait()
    task.cancel()
    systemd.settimeout(0)

    assert [systemd.recv(100), systemd.recv(100)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        systemd.recv(100)
