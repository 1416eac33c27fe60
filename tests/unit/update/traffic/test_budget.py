"""What bundles may cost."""

import pytest

from edged.update.traffic.budget import LEAST_BYTES, Budget, PutOffError

MIB = 1 << 20


class Ledger:
    """What was taken, in memory."""

    def __init__(self, spent=0):
        self.spent = spent
        self.writes = 0

    def spent_bytes(self):
        return self.spent

    def free_in_s(self, wanted, *, limit):
        return 3600.0

    def take(self, size):
        self.spent += size
        self.writes += 1

    def give_back(self, size):
        self.take(-size)


def make(ledger=None, *, max_bytes=0, max_bytes_per_day=0):
    return Budget(max_bytes=max_bytes, max_bytes_per_day=max_bytes_per_day, ledger=ledger or Ledger())


def fetch(budget, size, *, block=1 << 16):
    """Fetch in blocks, as they come from the network; returns what came before the budget ended it."""
    came = 0
    try:
        while came < size:
            came += block
            budget.spend(block, is_binding=True)
    except PutOffError as put_off:
        return came, put_off.cause
    return came, None


def test_without_limits_nothing_is_counted():
    ledger = Ledger()
    budget = make(ledger)

    assert fetch(budget, 100 * MIB) == (100 * MIB, None)
    assert budget.allowance() is None
    budget.close()
    assert ledger.writes == 0


def test_refresh_ends_with_the_block_that_passes_its_limit():
    budget = make(max_bytes=10 * MIB)

    assert fetch(budget, 100 * MIB) == (10 * MIB + (1 << 16), "max-bytes")


def test_day_ends_with_the_block_that_passes_its_limit():
    """Whatever portions are taken, and in whatever refresh the bytes of before came."""
    ledger = Ledger(spent=4 * MIB)

    assert fetch(make(ledger, max_bytes_per_day=10 * MIB), 100 * MIB) == (6 * MIB + (1 << 16), "max-bytes-per-day")


def test_what_was_taken_and_not_fetched_is_given_back():
    ledger = Ledger()
    budget = make(ledger, max_bytes_per_day=320 * MIB)
    fetch(budget, 3 * MIB)
    assert ledger.spent == 10 * MIB

    budget.close()

    assert ledger.spent == 3 * MIB


def test_process_that_is_killed_has_paid_before_it_fetched():
    """Nothing comes that is not in the ledger already."""
    ledger = Ledger()
    budget = make(ledger, max_bytes_per_day=320 * MIB)

    for block in range(1, 200):
        budget.spend(1 << 16, is_binding=True)
        assert ledger.spent >= block << 16


def test_day_costs_few_writes():
    ledger = Ledger()

    fetch(make(ledger, max_bytes_per_day=64 * MIB), 64 * MIB)

    assert ledger.writes <= 40


def test_documents_come_when_everything_is_spent_and_count():
    ledger = Ledger(spent=10 * MIB)
    budget = make(ledger, max_bytes=2 * MIB, max_bytes_per_day=10 * MIB)

    for _ in range(100):
        budget.spend(1 << 16, is_binding=False)

    assert ledger.spent >= 10 * MIB + (100 << 16)


@pytest.mark.parametrize("limit", ["max_bytes", "max_bytes_per_day"])
def test_whole_chunks_may_be_asked_for_and_no_less_than_one(limit):
    budget = make(**{limit: 10 * MIB})
    assert budget.allowance() == 10 * MIB
    fetch(budget, 1 << 16)
    assert budget.allowance() == 9 * MIB
    fetch(budget, 9 * MIB - (1 << 16))
    assert budget.allowance() == MIB
    fetch(budget, 1 << 16)

    with pytest.raises(PutOffError):
        budget.allowance()


def test_smaller_of_two_limits_counts():
    assert make(max_bytes=10 * MIB, max_bytes_per_day=5 * MIB).allowance() == 5 * MIB


@pytest.mark.parametrize("limit", ["max_bytes", "max_bytes_per_day"])
def test_limit_that_would_never_let_a_chunk_through_counts_as_one_that_does(limit):
    budget = make(**{limit: 1})

    assert budget.allowance() == LEAST_BYTES
    for _ in range(15):  # metadata
        budget.spend(1 << 16, is_binding=False)

    assert budget.allowance() >= MIB


def test_day_that_is_used_up_says_when_it_goes_on():
    deferred = make(max_bytes_per_day=10 * MIB).describe("max-bytes-per-day", now_unix_s=1000.0)

    assert deferred.until == 4600.0
    assert "update.max_bytes_per_day" in deferred.message


def test_refresh_that_is_used_up_goes_on_with_the_next():
    deferred = make(max_bytes=10 * MIB).describe("max-bytes", now_unix_s=1000.0)

    assert deferred.until is None
    assert "next poll" in deferred.message
