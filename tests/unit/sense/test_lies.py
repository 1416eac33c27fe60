"""Sensors that lie are noticed, named and not counted, and believed again when they behave; honest ones are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sense.lies import judge
from edged.sense.parts import MANNERS, Part
from edged.sense.reading import known, unknown
from edged.sense.temperatures import Limits, Temperature

BEGIN_S = 86400.0
"""A device has been on for a while when it is looked at first."""
LOOK_S = 5.0
LEAPS = "it leaps farther and faster than its part can"
FICKLE = "it comes and goes"


def sensor(name, celsius, part=Part.CHIP, *, is_absurd=False, rests=False):
    reading = unknown("nothing to be read") if celsius is None else known(celsius)
    return Temperature(name=name, part=part, celsius=reading, limits=Limits(), is_absurd=is_absurd, rests=rests)


def verdicts(walks, *, part=Part.CHIP, look_s=LOOK_S):
    """Return why the first sensor is not believed, after each look at all of them; empty where it is."""
    witnesses, said = {}, []
    for number in range(len(walks[0])):
        sensors = [sensor(f"s{which}", walk[number], part) for which, walk in enumerate(walks)]
        judgement = judge(witnesses, sensors, now_s=BEGIN_S + number * look_s)
        witnesses = judgement.witnesses
        said.append(judgement.lies.get("s0", ""))
    return said


def test_an_absurd_sensor_does_not_count_until_it_makes_sense():
    absurd = judge({}, [sensor("s0", None, is_absurd=True)], now_s=0)

    assert absurd.lies == {"s0": "nothing to be read"}
    assert judge(absurd.witnesses, [sensor("s0", 40.0)], now_s=5).lies == {}


def test_one_leap_is_believed():
    """A fan has stopped, or a part was exchanged: heat is never passed over because it came fast."""
    assert verdicts([[30.0, 30.0, *[90.0] * 20]], part=Part.BOARD) == [""] * 22


def test_there_and_back_again_is_a_lie_until_it_kept_still_for_a_minute():
    walk = [30.0, 90.0, 30.0, *[30.5] * 13]

    assert verdicts([walk], part=Part.BOARD) == ["", "", *[LEAPS] * 12, "", ""]


def test_two_leaps_the_same_way_are_believed():
    assert set(verdicts([[-30.0, 30.0, 90.0, 91.0, 92.0]], part=Part.BOARD)) == {""}


@pytest.mark.parametrize(
    ("looks", "said"), [pytest.param(4, LEAPS, id="after 20 s"), pytest.param(5, "", id="after 25 s")]
)
def test_only_what_comes_back_soon_has_leapt(looks, said):
    assert verdicts([[30.0, *[90.0] * looks, 30.0]], part=Part.BOARD)[-1] == said


def test_a_leap_back_counts_whatever_small_steps_were_in_between():
    assert verdicts([[30.0, 90.0, 89.0, 30.0]], part=Part.BOARD)[-1] == LEAPS


def test_what_a_part_can_just_do_is_no_leap():
    """A board: 30 degrees, and 3 more for each of the 5 s."""
    assert set(verdicts([[30.0, 75.0] * 5], part=Part.BOARD)) == {""}


def test_leaping_on_is_lying_on():
    said = verdicts([[30.0, 90.0] * 30], part=Part.BOARD)

    assert set(said[2:]) == {LEAPS}


def test_processors_may_do_what_batteries_cannot():
    walk = [40.0, 85.0, 45.0] * 10

    assert set(verdicts([walk], part=Part.PROCESSOR)) == {""}
    assert LEAPS in verdicts([walk], part=Part.BATTERY)


def test_what_was_before_a_long_sleep_is_no_leap():
    assert set(verdicts([[20.0, 60.0, 20.0]], part=Part.BATTERY, look_s=600)) == {""}


def test_a_constant_value_alone_is_no_lie():
    """On a virtual machine nothing moves."""
    assert set(verdicts([[30.0] * 1000, [35.0] * 1000])) == {""}


def test_a_constant_value_while_others_move_is_one_until_it_changes():
    others = [40.0 + 2 * (number % 10) for number in range(200)]

    said = verdicts([[100.0] * 190 + [99.0] * 10, others])

    stuck = "it says 100.0 degC all the time, while others move"
    assert said == [""] * 120 + [stuck] * 70 + [""] * 10


def held(celsius, looks=120):
    return [celsius] * looks


@pytest.mark.parametrize(
    ("other", "proves"),
    [
        pytest.param([*held(50.0, 61), 58.0, 66.0, 58.0, *held(50.0, 60)], True, id="up for a moment"),
        pytest.param([*held(50.0, 61), 42.0, 34.0, 42.0, *held(50.0, 60)], True, id="down for a moment"),
        pytest.param([40.0 + number // 6 for number in range(125)], True, id="a degree in 30 s"),
        pytest.param([40.0 + number // 10 for number in range(125)], False, id="a degree in 50 s"),
        pytest.param([*held(50.0, 24), *held(40.0, 24), *held(55.0, 77)], True, id="minutes apart"),
        pytest.param([*held(50.0, 260), 58.0, 66.0, 58.0, *held(50.0, 10)], True, id="late"),
        pytest.param(
            [*held(50.0, 12), *held(34.0, 24), *held(50.0, 64), *held(51.0, 25)], True, id="with a small step after it"
        ),
    ],
)
def test_how_another_has_to_move_in_ten_minutes_to_prove_that_a_sensor_is_stuck(other, proves):
    said = verdicts([held(80.0, len(other)), other])

    assert any(said) is proves


def test_what_moved_more_than_ten_minutes_ago_proves_nothing():
    other = [*held(40.0, 10), *held(60.0, 200)]
    sensor_that_stood_still_since = [*(60.0 + number % 2 for number in range(60)), *held(60.0, 150)]

    assert set(verdicts([sensor_that_stood_still_since, other])) == {""}


def test_what_was_found_to_be_stuck_is_so_until_it_moves_although_the_others_have_come_to_rest():
    others = [*(40.0 + 2 * (number % 10) for number in range(130)), *held(40.0, 170)]

    said = verdicts([[*held(80.0, 295), *held(79.0, 5)], others])

    assert all(said[120:295])
    assert not any(said[295:])


def test_a_liar_that_leaps_is_no_witness_against_others():
    assert set(verdicts([[50.0] * 200, [35.0, 145.0] * 100])) == {""}


def test_others_that_hardly_move_prove_nothing():
    assert set(verdicts([[50.0] * 500, [40.0 + number % 10 for number in range(500)]])) == {""}


def test_slow_parts_may_stay_as_they_are_for_long():
    others = [40.0 + 2 * (number % 10) for number in range(300)]

    assert set(verdicts([[38.0] * 300, others], part=Part.STORAGE)) == {""}


def test_a_sensor_that_vanished_is_named_for_ten_minutes():
    gone = "it vanished; the last that it said is 45.0 degC"

    said = verdicts([[45.0] + [None] * 125])

    assert said == ["", *[gone] * 119, *[""] * 6]


def test_a_sensor_that_comes_and_goes_does_not_count():
    walk = [40.0, None, 40.0, None, 40.0, None, *[40.0] * 125]

    said = verdicts([walk])

    assert said[6:] == [FICKLE] * 115 + [""] * 10


def test_a_sensor_that_vanished_twice_is_believed_when_it_is_back():
    assert verdicts([[40.0, None, 40.0, None, 40.0]])[-1] == ""


def test_a_sensor_that_sleeps_is_not_missed():
    awake = judge({}, [sensor("s0", 50.0)], now_s=0)

    assert judge(awake.witnesses, [sensor("s0", None, rests=True)], now_s=5).lies == {}


def test_words_about_a_lie_stay_the_same():
    """Contexts are compared: words that change at every look would make every look a new context."""
    assert len(set(verdicts([[45.0] + [None] * 20])[1:])) == 1


honest = st.lists(st.floats(-1, 1), min_size=2, max_size=60)


@given(steps=honest, part=st.sampled_from(Part), look_s=st.floats(0.1, 60))
def test_a_sensor_that_keeps_to_what_its_part_can_is_always_believed(steps, part, look_s):
    most = 0.99 * (MANNERS[part].leap + MANNERS[part].leap_per_s * look_s)
    walk = [50.0]
    for step in steps:
        walk.append(min(max(walk[-1] + step * most, -40.0), 150.0))

    assert set(verdicts([walk], part=part, look_s=look_s)) == {""}


@given(walk=st.lists(st.none() | st.floats(-40, 150), max_size=60))
def test_every_liar_is_believed_again_when_it_behaves(walk):
    quiet = [50.0 + number % 2 for number in range(130)]

    assert not verdicts([[*walk, *quiet]], part=Part.BATTERY)[-1]


@pytest.mark.parametrize("count", [10_000])
def test_what_is_remembered_stays_bounded(count):
    witnesses = {}
    for number in range(count):
        sensors = [sensor("s0", None if number % 3 == 0 else 40.0 + number % 7)]
        witnesses = judge(witnesses, sensors, now_s=number * LOOK_S).witnesses

    assert len(witnesses["s0"].ranges) <= 12
    assert len(witnesses["s0"].vanished_at_s) <= 600 / LOOK_S
