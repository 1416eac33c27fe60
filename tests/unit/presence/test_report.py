"""What edged-presence says: written at each look, with a reason where nobody is known, and withdrawn at the end."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from edged.config.schema import Config, PathsConfig
from edged.errors import DocumentError
from edged.presence import __main__ as module
from edged.presence.__main__ import GAP_S, NOBODY, Lookout
from edged.presence.report import LOOK_EVERY_S, PresenceReport, read_report, write_report
from edged.presence.sessions import Session
from tests.fakes.clocks import ManualClock

USED = Session(kind="user", type="x11", seat="seat0", is_active=True, began_s=1.0, is_idle=False, hint_s=2.0)


class Logind:
    """Says what a test says."""

    def __init__(self):
        self.found, self.trouble, self.news, self.bus_socket = [], None, [], None

    def sessions(self):
        if self.trouble is not None:
            raise self.trouble
        return self.found

    def has_news(self):
        if self.trouble is not None:
            raise self.trouble
        return self.news.pop(0)


class Place:
    """A lookout, and what it wrote."""

    def __init__(self, path):
        self.path, self.logind, self.clock, self.waits = path, Logind(), ManualClock(), []
        self.lookout = Lookout(self.logind, path, self.clock, wait=lambda *what: self.waits.append(what))

    def look(self):
        self.lookout.look()
        return read_report(self.path)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "presence.json")


def test_somebody_who_is_there_is_said_with_the_time(place):
    place.logind.found = [USED]

    assert place.look() == PresenceReport(looked_s=1000.0, idle_s=0.0)


def test_nobody_is_said_with_the_reason(place):
    assert place.look() == PresenceReport(looked_s=1000.0, idle_s=None, reason=NOBODY)


def test_a_logind_that_cannot_be_asked_is_said_and_logged_once(place, caplog):
    place.logind.trouble = ConnectionRefusedError("no bus")
    place.clock.advance(20.0)
    report = place.look()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    place.look()

    assert report == PresenceReport(looked_s=1020.0, idle_s=None, reason="logind cannot be asked: no bus")
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    place.logind.trouble, place.logind.found = None, [USED]
    assert place.look().idle_s == 0.0


def test_the_report_may_be_read_by_all_whatever_the_umask(place):
    before = os.umask(0o077)
    try:
        place.look()
    finally:
        os.umask(before)

    assert place.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("news", "waits"),
    [
        ([False, False], [(LOOK_EVERY_S, "the bus")]),
        ([False, True], [(LOOK_EVERY_S, "the bus"), (GAP_S, None)]),
        ([True], [(GAP_S, None)]),
    ],
    ids=["no news", "news", "news that came during the look"],
)
def test_news_are_looked_at_soon_but_not_more_often_than_that(place, news, waits):
    place.logind.news, place.logind.bus_socket = news, "the bus"
    place.lookout.wait()

    assert place.waits == waits


def test_without_logind_it_waits_as_long(place):
    place.logind.trouble = ConnectionRefusedError("no bus")
    place.lookout.wait()

    assert place.waits == [(LOOK_EVERY_S, None)]


def test_a_report_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "presence.json"
    write_report(path, PresenceReport(looked_s=1.0, idle_s=2.0))
    path.write_bytes(path.read_bytes().replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(DocumentError):
        read_report(path)


class Service:
    """What the service needs of its surroundings; it is told to stop during its third wait."""

    def __init__(self, path):
        self.path, self.events, self.are_asked = path, [], False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def sessions(self):
        self.events.append("look")
        return []

    bus_socket = None

    def has_news(self):
        return False

    def wait(self, _seconds, _other):
        assert read_report(self.path) is not None
        self.events.append("wait")
        self.are_asked = self.events.count("wait") == 3

    def ready(self):
        self.events.append("ready")

    def watchdog(self):
        self.events.append("watchdog")

    def stopping(self):
        self.events.append("stopping")

    def close(self):
        self.events.append("close")


def test_the_service_looks_again_after_each_wait_and_says_that_it_lives(tmp_path, monkeypatch):
    path = tmp_path / "presence.json"
    service = Service(path)
    for name in ("Logind", "StopSignals", "Notifier"):
        monkeypatch.setattr(module, name, lambda: service)
    module.serve(Config(paths=PathsConfig(presence=str(path))), ())

    again = ["look", "watchdog", "wait"]
    assert service.events == ["look", "ready", "wait", *again, *again, "stopping", "close"]
    assert not path.exists()


@contextmanager
def running(tmp_path):
    """Run the service with settings of its own."""
    settings = tmp_path / "edged.toml"
    settings.write_text(f'[paths]\npresence = "{tmp_path}/presence.json"\n')
    command = [sys.executable, "-m", "edged.presence", "--config", str(settings)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_service_withdraws_what_it_said_when_it_is_told_to_stop(tmp_path):
    """Whether or not this machine has a system bus."""
    path = tmp_path / "presence.json"
    with running(tmp_path) as process:
        while not path.exists():
            assert process.poll() is None, process.stderr.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

    assert not path.exists()
