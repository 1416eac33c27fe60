"""When a session gives memory back: after what was unusual, and never all the time."""

import pytest

from edged.worker.backends.surplus import MEMORY_RUNS, MIN_BYTES, Surplus

MB = 1 << 20


def run(surplus, input_bytes, output_bytes=0):
    gives_back = surplus.begin(input_bytes)
    surplus.end(input_bytes, output_bytes, gave_back=gives_back)
    return gives_back


@pytest.fixture
def used_to_little():
    surplus = Surplus()
    for _ in range(5):
        run(surplus, 1000, 1000)
    return surplus


def test_one_large_request_gives_its_memory_back_with_its_own_run(used_to_little):
    assert run(used_to_little, 100 * MB)
    assert not any(run(used_to_little, 1000) for _ in range(100))


def test_what_is_always_large_keeps_its_memory_after_a_few_runs():
    surplus = Surplus()

    gave_back = [run(surplus, 10 * MB, 10 * MB) for _ in range(100)]

    assert gave_back[0]
    assert not any(gave_back[1:])


def test_a_large_answer_to_a_small_request_gives_back_with_the_next_run(used_to_little):
    """Before the run nobody knows how large its answer is."""
    assert not run(used_to_little, 1000, 100 * MB)
    assert run(used_to_little, 1000)
    assert not run(used_to_little, 1000)


def test_large_answers_all_the_time_are_not_unusual():
    surplus = Surplus()

    assert not any(run(surplus, 1000, 50 * MB) for _ in range(100))


def test_when_large_requests_end_their_memory_is_given_back_once():
    surplus = Surplus()
    for _ in range(100):
        run(surplus, 50 * MB)

    gave_back = [run(surplus, 1000) for _ in range(10 * MEMORY_RUNS)]

    assert sum(gave_back) == 1


def test_small_differences_are_not_worth_it():
    surplus = Surplus()

    assert not any(run(surplus, size) for size in [10, 10_000, MIN_BYTES - 1] * 20)


def test_a_stopped_run_is_no_reason_to_give_back(used_to_little):
    """Callers leave all the time, and each time the arena would have to grow again."""
    assert not used_to_little.begin(1000)
    used_to_little.stop(1000)

    assert not any(run(used_to_little, 1000) for _ in range(10))


def test_what_a_large_request_took_is_given_back_although_it_was_stopped(used_to_little):
    assert used_to_little.begin(100 * MB)
    used_to_little.stop(100 * MB)

    assert run(used_to_little, 1000)
    assert not run(used_to_little, 1000)


def test_after_a_failed_run_whatever_it_took_is_given_back(used_to_little):
    assert not used_to_little.begin(1000)
    used_to_little.fail()

    assert run(used_to_little, 1000)
    assert not run(used_to_little, 1000)
