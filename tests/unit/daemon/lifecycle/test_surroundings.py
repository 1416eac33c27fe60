"""Sensors and clock as the quiet window asks for them; local time, summer and winter."""

import time

import pytest

from edged.daemon.lifecycle.surroundings import CLOCK_MARGIN_S, NOT_READ, Senses, local_minute, read_clock
from tests.fakes.clocks import ManualClock
from tests.fakes.sysfs import Sysfs

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
    reading = read_clock(system_s=NOW_S - behind_s, trusted_s=NOW_S)

    assert reading.value == (NOW_S - behind_s if is_known else None)


def test_a_device_that_woke_up_in_1970_says_so():
    assert (
        read_clock(system_s=5.0, trusted_s=NOW_S).reason
        == "the clock is wrong: it says 1970-01-01, and 2027-01-15 has been"
    )


def test_one_look_has_everything(tmp_path, zone):
    zone("UTC0")
    sysfs = Sysfs(tmp_path)
    sysfs.supply("BAT0", type="Battery", status="Discharging")
    sysfs.zone(0, "55000")
    senses = Senses(clock=ManualClock(), trusted_unix_s=lambda: 0.0, sysfs=tmp_path)

    conditions = senses.look().conditions(idle_s=7.0)

    assert (conditions.is_plugged_in, conditions.hottest_c, conditions.idle_s) == (False, 55.0, 7.0)
    assert conditions.minute_of_day == 8 * 60
    assert conditions.unknown == ()


def test_what_is_not_known_brings_its_reason(tmp_path):
    Sysfs(tmp_path).supply("BAT0", type="Battery")
    senses = Senses(clock=ManualClock(unix_s=0.0), trusted_unix_s=lambda: NOW_S, sysfs=tmp_path)

    conditions = senses.look().conditions(idle_s=0.0)

    assert (conditions.minute_of_day, conditions.is_plugged_in, conditions.hottest_c) == (None, None, None)
    assert dict(conditions.unknown) == {
        "minute_of_day": "the clock is wrong: it says 1970-01-01, and 2027-01-15 has been",
        "is_plugged_in": "no adapter is listed, and BAT0 says nothing",
        "hottest_c": "this device has no thermal zone",
    }


def test_before_the_first_look_nothing_is_known():
    assert {reason for _, reason in NOT_READ.conditions(idle_s=0.0).unknown} == {"not read yet"}
