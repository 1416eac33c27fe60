"""However something comes and goes, so much of it is told and no more, and the last word is always said."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edged.daemon.pace import Pace

MOST, PER_S = 3, 10.0


def follow(gaps_s):
    """Let changes happen after each other; returns when each was, when they were told, and when and how many were counted together."""
    pace, now_s, due_s = Pace(most=MOST, per_s=PER_S), 1000.0, None
    changes, told, counted = [], [], []
    for gap_s in [*gaps_s, None]:
        until_s = now_s + (2 * PER_S if gap_s is None else gap_s)
        if due_s is not None and due_s <= until_s:
            counted.append((due_s, pace.settle(due_s)))
            due_s = None
        now_s = until_s
        if gap_s is None:
            break
        changes.append(now_s)
        if pace.take(now_s):
            told.append(now_s)
        elif due_s is None:
            due_s = now_s + pace.left_s(now_s)
    return changes, told, counted


gaps = st.lists(st.integers(0, 120).map(lambda tenths: tenths / 8), max_size=80)


@given(gaps)
def test_the_last_change_is_told_of_or_counted_soon_after(gaps_s):
    changes, told, counted = follow(gaps_s)
    last_s = max([*told, *(at_s for at_s, _ in counted)], default=0.0)

    assert not changes or last_s >= changes[-1]
    assert all(at_s - changes[-1] <= PER_S for at_s, _ in counted[-1:])


@given(gaps)
def test_no_more_is_told_than_is_allowed(gaps_s):
    """Counting in fixed times, a moment may have the end of one and the beginning of the next behind it."""
    _, told, counted = follow(gaps_s)

    assert all(sum(at_s <= other_s < at_s + PER_S for other_s in told) <= 2 * MOST for at_s in told)
    assert all(after[0] - before[0] >= PER_S for before, after in pairwise(counted))


@given(gaps)
def test_what_is_rare_is_always_told(gaps_s):
    changes, told, counted = follow([gap_s + PER_S for gap_s in gaps_s])

    assert (told, counted) == (changes, [])


@given(gaps)
def test_nothing_is_lost_from_the_counts(gaps_s):
    """A count has every change of its time, those that were told as well."""
    changes, told, counted = follow(gaps_s)

    assert len(changes) - len(told) <= sum(count for _, count in counted) <= len(changes)
    assert all(count > 0 for _, count in counted)


def test_as_much_as_is_allowed_ends_the_silence_and_one_more_does_not():
    for more, is_told in ((0, True), (1, False)):
        pace = Pace(most=MOST, per_s=PER_S)
        assert [pace.take(1000.0) for _ in range(MOST + 1)] == [True] * MOST + [False]
        pace.settle(1010.0)
        assert not any(pace.take(1015.0) for _ in range(MOST + more))
        pace.settle(1020.0)

        assert pace.take(1021.0) is is_told
