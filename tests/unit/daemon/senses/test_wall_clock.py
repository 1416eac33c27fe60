"""The clock on the wall: local time, summer and winter, and when it is not believed."""

import time

import pytest

from edged.daemon.senses.wall_clock import CLOCK_MARGIN_S, judge_clock, local_minute

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
"""As tzset(3) takes it, so that no time zone data has to be installed."""
MARCH_29_2026_0059_UTC = 1_774_745_940.0
OCTOBER_25_2026_0059_UTC = 1_792_889_940.0
NOW_S = 1_800_000_000.0


@pytest.fixture
def zone(monkeypatch):
    """Return a function that sets the time zone, for this test only."""

    def put(name):
        monkeypatch.setenv("TZ", name)

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("unix_s", "minute"),
    [
        (0.0, 60),
        (NOW_S, 9 * 60),
        (MARCH_29_2026_0059_UTC, 119),
        (MARCH_29_2026_0059_UTC + 60, 180),
        (OCTOBER_25_2026_0059_UTC, 179),
        (OCTOBER_25_2026_0059_UTC + 60, 120),
    ],
    ids=[
        "1970",
        "winter",
        "before spring forward",
        "hour that is skipped",
        "before fall back",
        "hour that comes twice",
    ],
)
def test_local_time_is_that_of_the_clock_on_the_wall(zone, unix_s, minute):
    zone(BERLIN)

    assert local_minute(unix_s) == minute


def test_a_time_zone_that_is_changed_applies_at_once(zone):
    zone("UTC0")
    before = local_minute(NOW_S)
    zone("XYZ-5:30")

    assert local_minute(NOW_S) == (before + 330) % 1440


@pytest.mark.parametrize(
    ("behind_s", "is_known"), [(-1e6, True), (0.0, True), (CLOCK_MARGIN_S, True), (CLOCK_MARGIN_S + 1, False)]
)
def test_a_clock_behind_what_has_certainly_passed_is_not_believed(behind_s, is_known):
    reading = judge_clock(system_s=NOW_S - behind_s, trusted_s=NOW_S)

    assert reading.value == (NOW_S - behind_s if is_known else None)


def test_a_device_that_woke_up_in_1970_says_so():
    assert (
        judge_clock(system_s=5.0, trusted_s=NOW_S).reason
        == "the clock is wrong: it says 1970-01-01, and 2027-01-15 has been"
    )
