"""Which sessions tell of a person, and when that person was seen."""

from dataclasses import replace

import pytest

from edged.presence.sessions import Session, idle_s

NOW_S = 10_000.0
DESKTOP = Session(
    kind="user", type="wayland", seat="seat0", is_active=True, began_s=1_000.0, is_idle=False, hint_s=9_000.0
)
TERMINAL = replace(DESKTOP, type="tty", hint_s=9_940.0)


def test_a_desktop_that_is_not_idle_is_used_now():
    assert idle_s([DESKTOP], now_s=NOW_S) == 0.0


def test_a_desktop_that_is_idle_has_been_so_since_it_said_so():
    assert idle_s([replace(DESKTOP, is_idle=True)], now_s=NOW_S) == 1_000.0


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_terminal_tells_when_it_was_read_from_whatever_logind_calls_idle(is_idle):
    """Idle to logind is a terminal only after IdleActionSec, half an hour."""
    assert idle_s([replace(TERMINAL, is_idle=is_idle)], now_s=NOW_S) == 60.0


@pytest.mark.parametrize("type_", ["wayland", "x11", "tty", "web", "unspecified"])
def test_a_session_that_never_says_anything_is_not_busy_for_ever(type_):
    """A kiosk's compositor without idle hints: the login is the last that is known of anybody."""
    assert idle_s([replace(DESKTOP, type=type_, hint_s=0.0)], now_s=NOW_S) == 9_000.0


@pytest.mark.parametrize("is_idle", [False, True])
@pytest.mark.parametrize("type_", ["web", "unspecified"])
def test_of_what_is_neither_terminal_nor_desktop_the_login_is_the_last_that_is_known(type_, is_idle):
    assert idle_s([replace(DESKTOP, type=type_, is_idle=is_idle)], now_s=NOW_S) == 9_000.0


@pytest.mark.parametrize(
    "session",
    [
        replace(TERMINAL, seat=""),  # ssh, and a service that runs as somebody
        replace(DESKTOP, kind="greeter"),
        replace(DESKTOP, kind="manager", seat=""),
        replace(DESKTOP, kind="background"),
        replace(DESKTOP, is_active=False),  # behind another virtual terminal
    ],
)
def test_what_has_nobody_in_front_of_it_does_not_count(session):
    assert idle_s([session], now_s=NOW_S) is None


def test_whoever_was_seen_last_counts():
    away = replace(DESKTOP, is_idle=True)

    assert idle_s([away, TERMINAL, replace(DESKTOP, kind="greeter")], now_s=NOW_S) == 60.0


def test_nobody_is_known_where_there_are_no_sessions():
    assert idle_s([], now_s=NOW_S) is None


def test_a_moment_after_now_is_now():
    """Logind computes the moment from the wall clock, which may have been set since."""
    assert idle_s([replace(TERMINAL, hint_s=NOW_S + 30.0)], now_s=NOW_S) == 0.0
