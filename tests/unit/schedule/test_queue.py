"""Who goes next: classes, priorities, lanes, and nobody for ever behind the others."""

import math

import pytest

from edged.errors import UnavailableError
from edged.schedule.queue import FAIR_EVERY, Queue
from tests.fakes.requests import BACKGROUND, pending_of

MANY = 1000


def queue_of(*waiting) -> Queue:
    queue = Queue()
    for pending in waiting:
        assert queue.add(pending, max_queued=MANY) is None
    return queue


def choose(queue: Queue):
    first = queue.first()
    if first is not None:
        queue.take([first])
    return first


def choose_all(queue: Queue) -> list:
    return list(iter(lambda: choose(queue), None))


def test_empty_queue_has_nobody_to_go():
    queue = Queue()

    assert queue.first() is None
    assert list(queue.in_turn()) == []
    assert queue.next_deadline_s() == math.inf


def test_equals_go_in_the_order_in_which_they_came():
    waiting = [pending_of() for _ in range(5)]

    assert choose_all(queue_of(*waiting)) == waiting


def test_interactive_goes_before_background_whatever_their_priorities():
    background, interactive = pending_of(request_class=BACKGROUND, priority=1), pending_of(priority=9)

    assert choose_all(queue_of(background, interactive)) == [interactive, background]


def test_priority_one_goes_first_and_no_wish_is_in_the_middle():
    late, none, third, first = (pending_of(priority=number) for number in (5, 0, 3, 1))

    assert choose_all(queue_of(late, none, third, first)) == [first, third, none, late]


def test_one_of_sixteen_choices_is_a_background_request_while_both_wait():
    queue = queue_of(*(pending_of() for _ in range(100)), *(pending_of(request_class=BACKGROUND) for _ in range(3)))

    chosen = [choose(queue).is_background for _ in range(60)]

    assert [i + 1 for i, is_background in enumerate(chosen) if is_background] == [16, 32, 48]


def test_one_of_sixteen_choices_is_whoever_waits_longest_while_more_urgent_ones_keep_coming():
    """Priorities are what callers say of themselves: an app that asks for nothing is not starved by one that asks for everything."""
    humble = pending_of(priority=9)
    queue = queue_of(humble, *(pending_of(priority=1) for _ in range(100)))

    assert [choose(queue) for _ in range(FAIR_EVERY)].index(humble) == FAIR_EVERY - 1


def test_sequence_has_one_request_in_line_at_a_time_and_keeps_its_order():
    """Also when a later step claims to be more urgent: its state comes from the step before."""
    first, second, third = (pending_of(sequence=7, uid=1, priority=number) for number in (5, 1, 0))
    queue = queue_of(first, second, third)

    assert choose(queue) is first
    assert queue.first() is None
    assert len(queue) == 2
    queue.leave(first)
    assert choose(queue) is second
    queue.leave(second)
    assert choose(queue) is third


def test_sequences_of_the_same_name_but_other_callers_are_other_lanes():
    waiting = [pending_of(sequence="voice", uid=uid) for uid in (1, 2)]

    assert choose_all(queue_of(*waiting)) == waiting


def test_step_of_a_sequence_that_gives_up_lets_the_next_get_in_line():
    first, second = (pending_of(sequence=1) for _ in range(2))
    queue = queue_of(first, second)

    queue.remove(first)

    assert choose_all(queue) == [second]


def test_step_that_waits_behind_another_can_give_up():
    first, second, third = (pending_of(sequence=1) for _ in range(3))
    queue = queue_of(first, second, third)

    queue.remove(second)

    assert choose(queue) is first
    queue.leave(first)
    assert choose_all(queue) == [third]


def test_lane_is_forgotten_with_its_last_request():
    """Sequences come and go for months; what is kept of them must not."""
    queue = queue_of(pending_of(sequence=1))
    queue.leave(choose(queue))

    assert not queue._behind


def test_one_more_than_the_queue_holds_is_refused_with_the_setting_that_says_so():
    queue = queue_of(pending_of(), pending_of())

    with pytest.raises(UnavailableError, match="2 requests are waiting") as caught:
        queue.add(pending_of(), max_queued=2)

    assert caught.value.facts["limit"] == "serve.max_queued"
    assert len(queue) == 2


def test_interactive_request_takes_the_place_of_the_least_urgent_background_request():
    urgent, humble, later = (pending_of(request_class=BACKGROUND, priority=number) for number in (1, 6, 2))
    queue = queue_of(urgent, humble, later)
    interactive = pending_of()

    assert queue.add(interactive, max_queued=3) is humble

    assert choose_all(queue) == [interactive, urgent, later]


def test_background_request_that_waits_behind_another_of_its_sequence_can_be_displaced():
    first, second = (pending_of(sequence=1, request_class=BACKGROUND) for _ in range(2))
    queue = queue_of(first, second)

    assert queue.add(pending_of(), max_queued=2) is second


def test_background_request_displaces_nobody():
    queue = queue_of(pending_of(request_class=BACKGROUND, priority=9))

    with pytest.raises(UnavailableError):
        queue.add(pending_of(request_class=BACKGROUND, priority=1), max_queued=1)


def test_those_whose_deadline_has_come_are_dropped_wherever_they_wait():
    late = [pending_of(deadline_s=5.0), pending_of(deadline_s=4.0, sequence=1, request_class=BACKGROUND)]
    behind, in_time = pending_of(deadline_s=4.5, sequence=1), pending_of(deadline_s=5.1)
    queue = queue_of(*late, behind, in_time)

    assert queue.next_deadline_s() == 4.0
    assert set(queue.expire(5.0)) == {*late, behind}
    assert choose_all(queue) == [in_time]


def test_who_goes_next_comes_first_in_turn_and_the_rest_of_its_class_follows():
    background = pending_of(request_class=BACKGROUND)
    second, first = pending_of(priority=2), pending_of(priority=1)

    assert list(queue_of(background, second, first).in_turn()) == [first, second]


def test_whoever_waits_says_so_and_whoever_was_taken_does_not():
    taken, removed, waiting = (pending_of() for _ in range(3))
    queue = queue_of(taken, removed, waiting)
    choose(queue)
    queue.remove(removed)

    assert [pending.is_waiting for pending in (taken, removed, waiting)] == [False, False, True]


def test_every_background_request_ranks_behind_every_interactive_one():
    assert pending_of(priority=10**9).rank < pending_of(priority=1, request_class=BACKGROUND).rank
    assert pending_of(priority=1).rank < pending_of().rank
