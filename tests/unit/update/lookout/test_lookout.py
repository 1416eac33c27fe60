"""What is known of the host, and when it is asked."""

import pytest

from edged.update.lookout.lookout import Lookout
from tests.fakes.clocks import ManualClock

OLD, NEW = (b'{"signed": {"_type": "timestamp", "version": %d}}' % version for version in (7, 8))
PORTAL = b"<html>Welcome to our network</html>"


class Host:
    def __init__(self, has):
        self.has = has

    def fetch(self, known):
        return self.has


@pytest.fixture
def clock():
    return ManualClock()


def lookout(has, clock, *, trusted=OLD):
    return Lookout(
        question=Host(has), poll_interval_s=60.0, monotonic_s=clock.monotonic_s, trusted=trusted, draw=lambda: 0.5
    )


@pytest.mark.parametrize(("has", "is_ahead"), [(OLD, False), (NEW, True), (None, False), (PORTAL, False), (b"", False)])
def test_only_a_newer_timestamp_is_ahead(has, is_ahead, clock):
    assert lookout(has, clock).is_ahead() is is_ahead


def test_cache_that_lags_behind_is_not_ahead(clock):
    """Two caches with different states would otherwise end each other's refreshes for ever."""
    assert not lookout(OLD, clock, trusted=NEW).is_ahead()


def test_everything_is_ahead_of_a_device_that_keeps_nothing(clock):
    assert lookout(OLD, clock, trusted=b"").is_ahead()


def test_what_was_looked_at_or_is_trusted_is_seen(clock):
    it = lookout(NEW, clock)
    it.ask(b"")
    assert it.is_unseen()

    it.note_look()
    assert not it.is_unseen()

    it.trusted = NEW
    it.ask(b"")
    assert not it.is_unseen()


def test_older_timestamp_is_seen_once(clock):
    """After the keys of a thief were replaced, the good one has a lower version than the thief's."""
    it = lookout(OLD, clock, trusted=NEW)
    it.ask(b"")
    assert it.is_unseen()

    it.note_look()

    it.ask(b"")
    assert not it.is_unseen()


def test_page_of_a_portal_is_nothing_to_look_at(clock):
    it = lookout(PORTAL, clock)
    it.ask(b"")

    assert not it.is_unseen()


def test_wait_is_counted_from_the_last_question(clock):
    it = lookout(OLD, clock)
    assert it.left_s() == 0.0
    it.ask(b"")
    assert it.left_s() == it.wait_s() == pytest.approx(60.0 * 0.85)

    clock.advance(50.0)
    assert it.left_s() == pytest.approx(1.0)

    clock.advance(50.0)
    assert it.left_s() == 0.0
