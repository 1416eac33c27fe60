"""Who may wait when more is asked than can be answered."""

import pytest

from edged.daemon.serving.crowd import BURST_S, DAEMON, MOST_KNOWN, Crowd
from edged.errors import UnavailableError
from tests.fakes.requests import BACKGROUND, pending_of

RUNS, MAX_QUEUED = 4, 16
MANY, FEW = 12, 2
"""Places of one caller: as a rule, and after it was refused."""


class Line:
    """Those that wait, and a clock that a test moves."""

    def __init__(self, *, run_s: float = 0.0) -> None:
        self.crowd = Crowd(runs=RUNS)
        self.waiting = []
        self.now_s = 100.0
        self.run_s = run_s

    def come(self, **options):
        pending = pending_of(arrived_s=self.now_s, **options)
        self.crowd.check(
            pending,
            self.waiting,
            now_s=self.now_s,
            max_queued=MAX_QUEUED,
            turn_s=self.run_s / RUNS,
            run_s=self.run_s,
        )
        self.waiting.append(pending)
        return pending

    def fill(self, count: int, **options) -> None:
        for _ in range(count):
            self.come(**options)

    def is_refused(self, **options) -> bool:
        try:
            self.come(**options)
        except UnavailableError:
            return True
        return False


@pytest.fixture
def line():
    return Line()


@pytest.fixture
def crowded(line):
    """One whose user 1 was refused once; nobody waits any more."""
    line.fill(MANY, uid=1)
    assert line.is_refused(uid=1)
    line.waiting.clear()
    return line


def test_a_burst_may_take_three_quarters_of_the_places(line):
    line.fill(MANY, uid=1)

    with pytest.raises(UnavailableError, match=f"{MANY} requests of this user are waiting") as refused:
        line.come(uid=1)
    assert refused.value.facts["limit"] == "serve.max_queued"
    assert not line.is_refused(uid=2)


@pytest.mark.parametrize(("max_queued", "places"), [(1, 1), (2, 2), (3, 3), (4, 3), (64, 48)])
def test_a_queue_of_any_length_has_places_for_one_caller(line, max_queued, places):
    others = [pending_of() for _ in range(places)]
    line.crowd.check(pending_of(), others[1:], now_s=0.0, max_queued=max_queued, turn_s=0.0, run_s=0.0)

    with pytest.raises(UnavailableError):
        line.crowd.check(pending_of(), others, now_s=0.0, max_queued=max_queued, turn_s=0.0, run_s=0.0)


def test_who_was_refused_has_few_places_and_the_others_as_many_as_ever(crowded):
    crowded.fill(FEW, uid=1)

    assert crowded.is_refused(uid=1)
    crowded.fill(MANY, uid=2)


def test_who_comes_back_when_told_finds_all_the_places_again(crowded):
    crowded.fill(FEW, uid=1)
    with pytest.raises(UnavailableError) as refused:
        crowded.come(uid=1)
    crowded.waiting.clear()
    crowded.now_s += refused.value.retry_after_s

    crowded.fill(MANY, uid=1)


def test_who_does_not_wait_when_told_goes_on_having_few_places(crowded):
    for _ in range(100):
        crowded.waiting.clear()
        crowded.fill(FEW, uid=1)
        crowded.now_s += 0.4
        assert crowded.is_refused(uid=1)


def test_a_crowd_in_the_background_leaves_the_callers_interactive_requests_alone(line):
    line.fill(MANY, uid=1, request_class=BACKGROUND)
    assert line.is_refused(uid=1, request_class=BACKGROUND)

    line.fill(MANY, uid=1)


def test_the_daemons_own_requests_are_nobodys_crowd(crowded):
    crowded.fill(FEW, uid=0)

    assert not crowded.is_refused(uid=DAEMON)


def test_what_waits_from_a_burst_goes_on_waiting(line):
    first = line.come(uid=1)
    line.fill(MANY - 1, uid=1)
    assert line.is_refused(uid=1)
    line.now_s += 0.9 * BURST_S
    assert line.is_refused(uid=1)
    line.now_s += 1000.0

    assert line.crowd.outlasts(first) is None


def test_what_waits_from_the_beginning_of_a_lasting_crowd_is_refused_in_its_turn(line):
    other, first = line.come(uid=2), line.come(uid=1)
    line.fill(MANY - 1, uid=1)
    for _ in range(2):
        assert line.is_refused(uid=1)
        line.now_s += 1.1 * BURST_S
    assert isinstance(line.crowd.outlasts(first), UnavailableError)
    assert line.crowd.outlasts(other) is None

    line.waiting.clear()
    assert line.crowd.outlasts(line.come(uid=1)) is None, "it came later, to one of the few places"


def test_a_later_crowd_is_another_one(line):
    line.fill(MANY, uid=1)
    assert line.is_refused(uid=1)
    line.now_s += 10.0
    last = line.waiting.pop()
    assert not line.is_refused(uid=1)
    assert line.is_refused(uid=1)

    assert line.crowd.outlasts(last) is None


def test_retry_after_is_how_long_it_takes_until_there_is_a_place(line):
    line.run_s = 10.0
    line.fill(MANY, uid=1)
    with pytest.raises(UnavailableError) as first:
        line.come(uid=1)
    with pytest.raises(UnavailableError) as second:
        line.come(uid=1)

    assert first.value.retry_after_s == 3, "one turn of 2.5 s"
    assert second.value.retry_after_s == 28, "eleven of them, because there are few places now"


def test_who_would_be_too_late_is_refused_at_once(line):
    line.run_s = 4.0
    line.fill(3, uid=1)

    assert line.is_refused(uid=2, deadline_s=line.now_s + 7.9)
    assert not line.is_refused(uid=2, deadline_s=line.now_s + 8.1)


def test_who_is_more_urgent_is_later_only_by_those_who_are_too(line):
    line.run_s = 4.0
    line.fill(MANY, uid=1)

    assert line.is_refused(uid=2, deadline_s=line.now_s + 5.1)
    assert not line.is_refused(uid=2, deadline_s=line.now_s + 5.1, priority=1)


def test_only_so_many_callers_are_remembered(line):
    for uid in range(MOST_KNOWN + 1):
        line.waiting.clear()
        line.fill(MANY, uid=uid)
        assert line.is_refused(uid=uid)
    line.waiting.clear()

    line.fill(MANY, uid=0)
    line.fill(FEW, uid=1)
    assert line.is_refused(uid=1)
