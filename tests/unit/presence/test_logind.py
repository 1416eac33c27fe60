"""Logind's sessions over a real bus, and what becomes of questions that nobody answers."""

import select

import pytest

from edged.presence import logind as module
from edged.presence.logind import Logind
from tests.fakes.gates import short_directory
from tests.fakes.logind import FakeLogind, needs_bus, private_bus, session

pytestmark = needs_bus
SOON_S = 30.0
"""Nothing that passes waits for it."""


@pytest.fixture
def bus():
    with short_directory() as directory, private_bus(directory) as address:
        yield address


@pytest.fixture
def fake(bus):
    fake = FakeLogind(bus)
    fake.start()
    return fake


@pytest.fixture
def logind(bus):
    with Logind(bus) as logind:
        yield logind


def test_a_session_is_read_as_logind_says_it(fake, logind):
    fake.sessions["2"] = session(Type="tty", IdleHint=True, IdleSinceHintMonotonic=3_500_000)
    (found,) = logind.sessions()

    assert (found.kind, found.type, found.seat, found.is_active) == ("user", "tty", "seat0", True)
    assert (found.is_idle, found.hint_s, found.began_s) == (True, 3.5, 1000.0)


def test_sessions_without_a_seat_are_not_asked_about(fake, logind):
    fake.sessions["ssh"] = session(Seat=("", "/"))

    assert logind.sessions() == []
    assert fake.asked == ["ListSessions"]


def test_a_session_that_ends_meanwhile_is_left_out(fake, logind):
    fake.sessions |= {"1": None, "2": session()}

    assert len(logind.sessions()) == 1


def test_a_session_that_may_not_be_asked_about_is_not_one_that_has_ended(fake, logind, monkeypatch):
    monkeypatch.setattr(module, "_GONE", frozenset())
    fake.sessions["1"] = None

    with pytest.raises(OSError, match=r"logind refuses: .*it has ended"):
        logind.sessions()


def test_a_change_is_news_once(fake, logind):
    logind.sessions()
    assert not logind.has_news()

    fake.tell()
    select.select([logind.bus_socket], [], [], SOON_S)
    assert logind.has_news()
    assert not logind.has_news()


def test_a_change_while_it_is_asked_is_not_lost(fake, logind):
    """It comes before the answer."""
    logind.sessions()
    fake.tell()
    logind.sessions()

    assert logind.has_news()


def test_without_logind_it_says_so_and_asks_again_when_it_is_there(bus, logind):
    with pytest.raises(OSError, match="logind refuses"):
        logind.sessions()

    FakeLogind(bus).start()
    assert logind.sessions() == []


def test_without_a_bus_it_says_so(tmp_path):
    with Logind(f"unix:path={tmp_path / 'none'}") as logind, pytest.raises(FileNotFoundError):
        logind.sessions()


def test_a_logind_that_hangs_is_given_up(fake, logind, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.01)
    fake.is_deaf = True
    with pytest.raises(TimeoutError):
        logind.sessions()

    monkeypatch.setattr(module, "ANSWER_S", SOON_S)
    fake.is_deaf = False
    assert logind.sessions() == []


def test_a_bus_that_ends_is_noticed_and_asked_again_when_it_is_back():
    with short_directory() as directory:
        with private_bus(directory) as address:
            FakeLogind(address).start()
            logind = Logind(address)
            assert logind.sessions() == []
        with logind:
            with pytest.raises(OSError):
                logind.has_news()
            assert logind.bus_socket is None, "nothing more comes from there"
            assert not logind.has_news()
            with private_bus(directory) as address:
                FakeLogind(address).start()
                assert logind.sessions() == []
