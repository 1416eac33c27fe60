"""Waits between polls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.update.lookout.backoff import backoff_s, failures_until_s, poll_wait_s

DRAW = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), DRAW)
def test_wait_is_never_above_its_ceiling(failures, draw):
    wait_s = backoff_s(failures=failures, minimum_s=5, maximum_s=3600, draw=draw)

    assert 0 <= wait_s <= min(3600, 5 * 2 ** (failures - 1))


def test_ceiling_doubles_up_to_the_maximum():
    waits = [backoff_s(failures=n, minimum_s=5, maximum_s=60, draw=0.999) for n in range(1, 7)]

    assert [round(w) for w in waits] == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(("ceiling_s", "failures"), [(0.1, 1), (5, 1), (5.1, 2), (10, 2), (51, 5), (3600, 11)])
def test_failures_until_a_ceiling(ceiling_s, failures):
    assert failures_until_s(ceiling_s, minimum_s=5) == failures
    assert 5 * 2 ** (failures - 1) >= ceiling_s


@given(DRAW)
def test_polls_leave_a_part_of_the_interval_to_the_poll_itself(draw):
    """What is published right after a poll is here within one interval, with all that a poll takes."""
    assert 45 <= poll_wait_s(60, draw=draw) <= 57
