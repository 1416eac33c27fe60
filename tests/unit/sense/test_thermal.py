"""The hottest zone that makes sense, in degrees Celsius."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.thermal import MAX_CELSIUS, MIN_CELSIUS, ZoneText, hottest, parse_celsius


@pytest.mark.parametrize(
    ("text", "celsius"),
    [
        ("45000", 45.0),
        ("-3500", -3.5),
        ("0", 0.0),
        ("150000", 150.0),
        ("-40000", -40.0),
        ("150001", None),
        ("-40001", None),
        ("-273000", None),
        ("2147483647", None),
        ("9" * 200, None),
        ("", None),
        ("hot", None),
        ("45.0", None),
        (None, None),
    ],
)
def test_millidegrees_are_read_and_nonsense_is_not(text, celsius):
    assert parse_celsius(text) == celsius


@given(temps=st.lists(st.one_of(st.none(), st.integers(-300_000, 300_000).map(str)), max_size=8))
def test_hottest_is_that_of_the_zones_that_make_sense(temps):
    reading = hottest([ZoneText(name=f"thermal_zone{i}", temp=temp) for i, temp in enumerate(temps)])

    sensible = [celsius for temp in temps if temp and MIN_CELSIUS <= (celsius := int(temp) / 1000) <= MAX_CELSIUS]
    assert reading.value == max(sensible, default=None)
    assert bool(reading.reason) == (reading.value is None)


def test_why_there_is_none_is_said():
    assert hottest([]).reason == "this device has no thermal zone"
    assert hottest([ZoneText(name="thermal_zone3", temp=None)]).reason == "no usable temperature in thermal_zone3"
