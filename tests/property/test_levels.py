"""The level of a sensor over any sequence of temperatures: up at once, down slowly, and never faster than it may."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edged.sense.context import Level
from edged.sense.levels import Heat, Thresholds, advance, level_of

COOL_S = 30.0
THRESHOLDS = Thresholds(fair=60.0, serious=70.0, critical=80.0)
LOOKS = st.lists(
    st.tuples(
        st.sampled_from((0.1, 5.0, 10.0, 29.9, 30.0)),
        st.none() | st.sampled_from((20.0, 54.9, 55.0, 59.9, 60.0, 64.9, 65.0, 69.9, 70.0, 74.9, 75.0, 79.9, 80.0)),
    ),
    min_size=1,
    max_size=40,
)


@given(LOOKS)
def test_up_at_once_and_down_by_one_level_after_it_was_cooler_for_long_enough(looks):
    """``None`` is a sensor that says nothing: it loses its level as if it had gone cold, and never at once."""
    standings, now_s, before = {}, 0.0, None
    cooler_since_s: float | None = None
    for wait_s, celsius in looks:
        now_s += wait_s
        heats = {} if celsius is None else {"cpu": Heat(celsius=celsius, thresholds=THRESHOLDS)}
        standings = advance(standings, heats, now_s=now_s, cool_s=COOL_S)
        level = level_of(standings)
        said = None if celsius is None else THRESHOLDS.level_at(celsius)

        if before in {None, Level.NOMINAL}:
            assert level == said or (celsius is None and level is None)
        elif said is not None and said >= before:
            assert level == said
        else:
            is_cooler = celsius is None or celsius < THRESHOLDS.begins(before) - THRESHOLDS.hysteresis
            cooler_since_s = (now_s if cooler_since_s is None else cooler_since_s) if is_cooler else None
            is_over = cooler_since_s is not None and now_s - cooler_since_s >= COOL_S
            down = Level(before - 1) if is_over else before
            assert level == (None if celsius is None and down is Level.NOMINAL else down)
        if level != before or (said is not None and before is not None and said >= before):
            went_down = level is not None and before is not None and level < before
            cooler_since_s = now_s if went_down else None
        before = level


@given(LOOKS)
def test_no_sequence_of_temperatures_brings_a_device_down_twice_within_the_time_that_it_has_to_be_cool(looks):
    standings, now_s, levels = {}, 0.0, []
    for wait_s, celsius in looks:
        now_s += wait_s
        heats = {} if celsius is None else {"cpu": Heat(celsius=celsius, thresholds=THRESHOLDS)}
        standings = advance(standings, heats, now_s=now_s, cool_s=COOL_S)
        levels.append((now_s, level_of(standings) or Level.NOMINAL))

    downs = [at_s for (_, one), (at_s, other) in pairwise(levels) if other < one]
    assert all(other - one >= COOL_S for one, other in pairwise(downs))
