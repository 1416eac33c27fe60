"""Where levels begin, and how they change: up at once, down slowly, never because a sensor falls silent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.context import Level
from edged.sense.levels import COOL_S, Heat, Thresholds, advance, level_of, thresholds
from edged.sense.parts import Part
from edged.sense.temperatures import Limits

LIMITS = Thresholds(fair=70, serious=80, critical=90)
LOOK_S = 5.0


def run(celsius, *, look_s=LOOK_S, limits=LIMITS):
    """Return the level after each look at one sensor; None is a look at which it says nothing."""
    standings, levels = {}, []
    for number, value in enumerate(celsius):
        heats = {} if value is None else {"cpu": Heat(celsius=value, thresholds=limits)}
        standings = advance(standings, heats, now_s=number * look_s)
        levels.append(level_of(standings))
    return levels


@pytest.mark.parametrize(
    ("part", "limits", "begins"),
    [
        pytest.param(Part.CHIP, Limits(critical=110), (70, 80, 90), id="only a critical point far off"),
        pytest.param(Part.CHIP, Limits(critical=85), (65, 75, 80), id="a critical point below the defaults"),
        pytest.param(Part.CHIP, Limits(passive=(99,), critical=104.5), (89, 99, 101.75), id="passive near critical"),
        pytest.param(Part.CHIP, Limits(passive=(70, 85), critical=100), (70, 85, 95), id="two passive points"),
        pytest.param(Part.CHIP, Limits(passive=(85,), hot=95, critical=105), (75, 85, 90), id="hot before critical"),
        pytest.param(Part.CHIP, Limits(passive=(110,), critical=100), (70, 80, 90), id="passive beyond critical"),
        pytest.param(Part.BOARD, Limits(passive=(80,)), (70, 80, 90), id="a maximum and nothing else"),
        pytest.param(Part.PROCESSOR, Limits(critical=100), (80, 90, 95), id="a PC's processor"),
        pytest.param(Part.BATTERY, Limits(), (38, 48, 58), id="nothing but what it is"),
    ],
)
def test_levels_begin_where_the_kernel_acts(part, limits, begins):
    found = thresholds(part, limits)

    assert (found.fair, found.serious, found.critical) == begins


def test_a_level_begins_at_its_temperature_itself():
    assert [LIMITS.level_at(value) for value in (69.9, 70.0, 79.9, 80.0, 89.9, 90.0)] == [
        Level.NOMINAL, Level.FAIR, Level.FAIR, Level.SERIOUS, Level.SERIOUS, Level.CRITICAL,
    ]  # fmt: skip


@pytest.mark.parametrize(("stated", "counts"), [(0.0, 5.0), (2.0, 5.0), (8.0, 8.0)])
def test_the_larger_hysteresis_counts(stated, counts):
    assert thresholds(Part.CHIP, Limits(passive=(85,), hysteresis=stated)).hysteresis == counts


celsius = st.integers(30_000, 140_000).map(lambda milli: milli / 1000)
some_limits = st.builds(
    lambda passive, hot, critical, hysteresis: Limits(
        passive=tuple(sorted(passive)), hot=hot, critical=critical, hysteresis=hysteresis
    ),
    st.lists(celsius, max_size=3),
    st.none() | celsius,
    st.none() | celsius,
    st.floats(0, 20),
)


@given(part=st.sampled_from(Part), limits=some_limits)
def test_levels_are_always_in_order_and_end_before_the_device_is_switched_off(part, limits):
    found = thresholds(part, limits)

    assert found.fair <= found.serious < found.critical
    for end in (limits.hot, limits.critical):
        assert end is None or found.critical < end


def test_a_level_is_left_after_half_a_minute_well_below_it():
    warm_then_cool = [82.0] + [74.9] * 8

    assert run(warm_then_cool) == [Level.SERIOUS] * 7 + [Level.FAIR] * 2


def test_a_level_is_kept_just_below_where_it_begins():
    assert run([82.0] + [75.0] * 20) == [Level.SERIOUS] * 21


def test_trip_points_with_a_larger_hysteresis_count():
    limits = Thresholds(fair=70, serious=80, critical=90, hysteresis=12)

    assert set(run([82.0] + [70.0] * 20, limits=limits)) == {Level.SERIOUS}


def test_half_a_minute_begins_anew_when_it_gets_warmer_in_between():
    assert run([82.0, *[70.0] * 6, 78.0, *[70.0] * 6])[-1] is Level.SERIOUS


def test_each_level_down_takes_its_own_time():
    assert run([95.0] + [20.0] * 19) == (
        [Level.CRITICAL] * 7 + [Level.SERIOUS] * 6 + [Level.FAIR] * 6 + [Level.NOMINAL]
    )


def test_a_sensor_that_falls_silent_does_not_cool_the_device():
    assert run([95.0] + [None] * 19) == ([Level.CRITICAL] * 7 + [Level.SERIOUS] * 6 + [Level.FAIR] * 6 + [None])


def test_the_hottest_sensor_decides():
    heats = {"cpu": Heat(celsius=60, thresholds=LIMITS), "gpu": Heat(celsius=91, thresholds=LIMITS)}

    assert level_of(advance({}, heats, now_s=0)) is Level.CRITICAL


def test_headroom_is_one_where_serious_begins_and_never_negative():
    assert [LIMITS.headroom(value) for value in (20.0, 50.0, 65.0, 80.0, 95.0)] == [0.0, 0.0, 0.5, 1.0, 1.5]


walks = st.lists(st.none() | st.floats(20, 110), min_size=1, max_size=120)


@given(walk=walks, look_s=st.floats(0.1, 20))
def test_no_level_is_reached_late_and_none_is_left_fast(walk, look_s):
    """Whatever a sensor says or does not say."""
    levels = run(walk, look_s=look_s)

    dropped_at_s = float("-inf")
    hot_at_s = 0.0
    for number, (value, level) in enumerate(zip(walk, levels, strict=True)):
        now_s = number * look_s
        before = levels[number - 1] if number else None
        if value is not None:
            assert level is not None
            assert level >= LIMITS.level_at(value)
        if before is not None and before > Level.NOMINAL:
            if value is not None and value >= LIMITS.begins(before) - LIMITS.hysteresis:
                hot_at_s = now_s
            if level is None or level < before:
                assert before - (level or Level.NOMINAL) == 1
                assert now_s - hot_at_s >= COOL_S
                assert now_s - dropped_at_s >= COOL_S
                dropped_at_s = now_s
        if level is not None and (before is None or level > before):
            hot_at_s = now_s


def test_a_sensor_that_falls_silent_long_after_it_cooled_is_forgotten():
    """There is no level below nominal to go down to."""
    cooled = advance({}, {"cpu": Heat(celsius=75.0, thresholds=LIMITS)}, now_s=0.0)
    for now_s in (5.0, 5.0 + COOL_S):
        cooled = advance(cooled, {"cpu": Heat(celsius=40.0, thresholds=LIMITS)}, now_s=now_s)
    assert level_of(cooled) is Level.NOMINAL

    assert advance(cooled, {}, now_s=1000.0) == {}
