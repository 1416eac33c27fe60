"""Idle time is that of requests and of people, as far as anything is known of people."""

import pytest

from edged.daemon.senses.presence import Presence
from edged.presence.report import STALE_AFTER_S, PresenceReport, write_report
from tests.fakes.clocks import ManualClock


@pytest.fixture
def presence(tmp_path):
    return Presence(path=tmp_path / "presence.json", clock=ManualClock())


def say(presence, idle_s, *, reason="", age_s=0.0):
    """Have edged-presence have said something some time ago."""
    write_report(presence.path, PresenceReport(looked_s=presence.clock.monotonic_s(), idle_s=idle_s, reason=reason))
    presence.clock.advance(age_s)


def test_a_device_that_somebody_uses_is_not_idle(presence):
    say(presence, 0.0, age_s=STALE_AFTER_S)

    assert presence.idle_s(3600.0) == 0.0


def test_the_time_without_anybody_goes_on_since_the_report(presence):
    say(presence, 100.0, age_s=15.0)

    assert presence.idle_s(3600.0) == 115.0


def test_a_device_that_is_asked_is_not_idle_though_nobody_is_there(presence):
    say(presence, 3600.0)

    assert presence.idle_s(5.0) == 5.0


@pytest.mark.parametrize(
    ("idle_s", "age_s", "reason"),
    [
        (None, 0.0, "nobody is logged in"),
        (0.0, STALE_AFTER_S + 1.0, "has said nothing for 61 s"),
        (0.0, -1.0, "from before this machine was started"),
    ],
)
def test_what_says_nothing_leaves_idle_time_to_requests(presence, idle_s, age_s, reason):
    """A process that was killed cannot take back that somebody is there."""
    say(presence, idle_s, reason="" if idle_s is not None else reason, age_s=age_s)

    assert presence.idle_s(3600.0) == 3600.0
    (sensor,) = presence.sensors()
    assert sensor.value.value is None
    assert reason in sensor.value.reason


def test_a_report_that_cannot_be_read_leaves_idle_time_to_requests(presence):
    presence.path.write_text("{")

    assert presence.idle_s(7.0) == 7.0
    assert "cannot be read" in presence.sensors()[0].value.reason


def test_where_nobody_looks_idle_time_is_that_of_requests_and_there_is_nothing_to_show(presence):
    assert presence.idle_s(7.0) == 7.0
    assert presence.sensors() == ()
