"""What systemd is told."""

import os
import socket

import pytest

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


@pytest.mark.parametrize(
    ("say", "message"),
    [
        (Notifier.ready, b"READY=1"),
        (Notifier.stopping, b"STOPPING=1"),
        (Notifier.watchdog, b"WATCHDOG=1"),
        (lambda n: n.status("two models"), b"STATUS=two models"),
        (lambda n: n.extend_start(90.0), b"EXTEND_TIMEOUT_USEC=90000000"),
    ],
)
def test_each_state_has_its_message(systemd, notifier, say, message):
    say(notifier)

    assert systemd.recv(1000) == message


def test_reload_carries_the_monotonic_time(systemd, notifier):
    """``Type=notify-reload`` ignores a RELOADING=1 without it."""
    notifier.reloading()
    first, second = systemd.recv(1000).decode().split("\n")

    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_without_systemd_nothing_is_said(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier({})

    notifier.ready()
    notifier.close()
    notifier.close()

    assert notifier.watchdog_interval_s is None


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval_is_half_of_what_systemd_allows(monkeypatch, environ, interval_s):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    assert Notifier(environ).watchdog_interval_s == interval_s
