"""When the next level comes: from the slope of minutes, in spite of noise, and never a negative time."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.context import Level
from edged.sense.forecast import HORIZON_S, keep, next_level_s
from edged.sense.levels import Heat, Thresholds

LIMITS = Thresholds(fair=70, serious=80, critical=90)
BEGIN_S = 86400.0
LOOK_S = 5.0


def foretell(celsius, *, look_s=LOOK_S, level=None):
    """Return what is foretold after looks at one sensor."""
    samples, heats = {}, {}
    for number, value in enumerate(celsius):
        heats = {"cpu": Heat(celsius=value, thresholds=LIMITS)}
        samples = keep(samples, heats, now_s=BEGIN_S + number * look_s)
    return next_level_s(samples, heats, level=LIMITS.level_at(celsius[-1]) if level is None else level)


def warming(count, *, begin, per_look, noise=0.0):
    noisy = random.Random(7)
    return [begin + per_look * number + noisy.uniform(-noise, noise) for number in range(count)]


def test_a_straight_line_is_followed_to_the_next_level():
    """0.1 degrees in 5 s, and 5 degrees are missing after the last of them."""
    walk = warming(25, begin=62.6, per_look=0.1)

    assert foretell(walk) == pytest.approx(250.0)


def test_the_slope_is_the_median_of_those_between_all_pairs():
    """The slope between the samples i and j of these is (i + j) hundredths of a degree a second; half of the 21 are 6 or less."""
    assert foretell([50.0 + 0.1 * number**2 for number in range(7)], look_s=10.0) == pytest.approx((70 - 53.6) / 0.06)


def test_the_sensor_that_gets_there_first_counts():
    samples = {}
    for number in range(25):
        walks = {"slow": 60.0 + 0.1 * number, "fast": 60.0 + 0.2 * number, "cool": 30.0}
        heats = {name: Heat(celsius=celsius, thresholds=LIMITS) for name, celsius in walks.items()}
        samples = keep(samples, heats, now_s=number * LOOK_S)

    assert next_level_s(samples, heats, level=Level.NOMINAL) == pytest.approx(5.2 / 0.04)


def test_noise_and_a_few_wild_samples_hardly_matter():
    walk = warming(37, begin=56.4, per_look=0.1, noise=0.3)
    walk[10] = walk[11] = 20.0
    walk[24] = 100.0

    assert foretell(walk) == pytest.approx((70 - walk[-1]) / 0.02, rel=0.15)


@pytest.mark.parametrize(
    "walk",
    [
        pytest.param([50.0] * 40, id="constant"),
        pytest.param(warming(40, begin=60, per_look=-0.2), id="cooling"),
        pytest.param(warming(40, begin=60, per_look=0.0, noise=2.0), id="noise"),
        pytest.param(warming(40, begin=68, per_look=0.01), id="too slow to say"),
        pytest.param([50.0 + 0.05 * number + 8 * (number % 4 > 1) for number in range(40)], id="up and down"),
        pytest.param(warming(10, begin=60, per_look=0.5), id="too short to say"),
        pytest.param([*[60.0] * 30, *[65.0] * 3], id="one step"),
        pytest.param([*[60.0] * 18, *[65.0] * 18], id="one step in the middle"),
        pytest.param([*warming(20, begin=40, per_look=1.0), *[60.0] * 37], id="came to rest"),
    ],
)
def test_nothing_is_foretold_while_it_does_not_warm(walk):
    assert foretell(walk) is None


@pytest.mark.parametrize(
    ("per_minute", "is_foretold"), [pytest.param(0.29, False, id="too slow"), pytest.param(0.31, True, id="just so")]
)
def test_slower_than_three_tenths_of_a_degree_a_minute_is_noise(per_minute, is_foretold):
    walk = warming(40, begin=68, per_look=per_minute / 12)

    assert (foretell(walk) is not None) is is_foretold


@pytest.mark.parametrize(
    ("missing", "foretold_s"), [pytest.param(59.0, 3540.0, id="59 min"), pytest.param(61.0, None, id="61 min")]
)
def test_nothing_is_said_about_more_than_an_hour_ahead(missing, foretold_s):
    walk = warming(37, begin=70 - missing - 3, per_look=1 / 12)

    assert foretell(walk) == (None if foretold_s is None else pytest.approx(foretold_s))


@pytest.mark.parametrize(
    ("looks", "look_s", "is_foretold"),
    [
        pytest.param(7, 10.0, True, id="a minute"),
        pytest.param(6, 10.0, False, id="less than a minute"),
        pytest.param(3, 30.0, True, id="three samples"),
        pytest.param(2, 60.0, False, id="two samples"),
        pytest.param(3, 60.0, True, id="a minute apart"),
        pytest.param(5, 61.0, False, id="more than a minute apart"),
    ],
)
def test_it_takes_a_minute_of_samples_that_are_not_too_far_apart(looks, look_s, is_foretold):
    walk = warming(looks, begin=60, per_look=0.5)

    assert (foretell(walk, look_s=look_s) is not None) is is_foretold


def test_nothing_is_foretold_above_the_last_level():
    assert foretell(warming(40, begin=91, per_look=0.2)) is None


def test_nothing_is_foretold_while_no_sensor_says_anything():
    """The device has a level still, which a sensor that fell silent has left it."""
    assert next_level_s({}, {}, level=Level.SERIOUS) is None


def test_a_level_that_is_kept_by_hysteresis_looks_to_the_one_above_it():
    """A device that is serious still, at 76 degrees and warming, comes to 90 next."""
    assert foretell(warming(25, begin=73.6, per_look=0.1), level=Level.SERIOUS) == pytest.approx(700.0)


def test_what_was_before_a_long_sleep_says_nothing():
    samples, heats = {}, {}
    for now_s, value in [(0, 40), (20, 42), (40, 44), (60, 46), (150, 60), (170, 61)]:
        heats = {"cpu": Heat(celsius=value, thresholds=LIMITS)}
        samples = keep(samples, heats, now_s=now_s)

    assert next_level_s(samples, heats, level=Level.NOMINAL) is None
    assert [sample.at_s for sample in samples["cpu"]] == [150, 170]


def test_samples_are_few_however_often_somebody_looks():
    samples = {}
    for number in range(5000):
        samples = keep(samples, {"cpu": Heat(celsius=50.0, thresholds=LIMITS)}, now_s=number * 0.1)

    assert len(samples["cpu"]) <= 19


def test_samples_of_three_minutes_are_kept_ten_seconds_apart():
    samples = {}
    for number in range(40):
        samples = keep(samples, {"cpu": Heat(celsius=50.0, thresholds=LIMITS)}, now_s=number * 10.0)

    assert [sample.at_s for sample in samples["cpu"]] == [float(at_s) for at_s in range(210, 400, 10)]


@given(walk=st.lists(st.floats(-40, 150), min_size=1, max_size=80), look_s=st.floats(0.1, 50))
def test_a_forecast_is_never_negative_and_never_beyond_the_hour(walk, look_s):
    foretold_s = foretell(walk, look_s=look_s)

    assert foretold_s is None or 0 <= foretold_s < HORIZON_S
