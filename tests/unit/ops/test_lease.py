"""How old the last news are, on devices whose clocks are wrong in every way there is."""

import pytest

from edged.ops.lease import GRACE_S, JUMP_S, Sighting, SteadyClock, age_s

HOUR_S = 3600.0
T0 = 1_800_000_000.0


def age(*, seen=T0, is_live=False, passed=0.0, wall=T0):
    return age_s(Sighting(seen_unix_s=seen, noticed_s=100.0, is_live=is_live), now_s=100.0 + passed, steady_unix_s=wall)


@pytest.mark.parametrize(
    ("case", "expected_h"),
    [
        ({"wall": T0 + 3 * HOUR_S}, 3),  # off for three hours
        ({"wall": T0 + 3 * HOUR_S, "passed": HOUR_S}, 3),  # the wall clock counts what was before
        ({"wall": T0 - 9 * HOUR_S, "passed": HOUR_S}, 1),  # no clock of its own: what it is sure of
        ({"wall": None, "passed": HOUR_S}, 1),  # not believed
        (
            {"is_live": True, "wall": T0 + 99 * HOUR_S, "passed": HOUR_S},
            1,
        ),  # seen by this daemon: the wall clock may lie
        ({"seen": None, "wall": T0, "passed": 2 * HOUR_S}, 2),  # never seen
    ],
)
def test_age_is_what_can_be_known(case, expected_h):
    assert age(**case) == expected_h * HOUR_S


def test_clock_that_runs_is_believed_also_when_it_is_set_a_little():
    clock = SteadyClock(unix_s=T0, now_s=0.0)

    assert clock.look(unix_s=T0 + 10, now_s=10.0) == T0 + 10
    assert clock.look(unix_s=T0 + 20 + JUMP_S, now_s=20.0) == T0 + 20 + JUMP_S


def test_clock_that_jumped_forward_is_not_believed_until_there_was_time_for_news():
    clock = SteadyClock(unix_s=T0, now_s=0.0)
    later = T0 + 1000 * HOUR_S

    assert clock.look(unix_s=later, now_s=10.0) is None
    assert clock.look(unix_s=later + GRACE_S - 1, now_s=9.0 + GRACE_S) is None
    assert clock.look(unix_s=later + GRACE_S, now_s=10.0 + GRACE_S) == later + GRACE_S


def test_clock_that_is_set_back_is_believed_at_once():
    """It can only make news look younger than they are, and what has passed is known beside it."""
    clock = SteadyClock(unix_s=T0, now_s=0.0)

    assert clock.look(unix_s=T0 - HOUR_S, now_s=10.0) == T0 - HOUR_S
    assert clock.look(unix_s=T0 - HOUR_S + 10, now_s=20.0) == T0 - HOUR_S + 10
