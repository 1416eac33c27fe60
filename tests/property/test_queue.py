"""The queue against the rules of its docstring, on random walks."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edged.errors import UnavailableError
from edged.schedule.queue import FAIR_EVERY, Queue
from tests.fakes.requests import BACKGROUND, INTERACTIVE, pending_of

MAX_QUEUED = 24


class QueueWalk(RuleBasedStateMachine):
    """Requests come, go, give up and end in any order; a plain list remembers what there is."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Queue = Queue()
        self.waiting: list = []
        self.running: list = []
        self.now_s = 0.0
        self.passed_background = 0
        self.passed_longest: dict[bool, int] = defaultdict(int)

    def in_line(self) -> list:
        """Those who may go: of each lane the first, unless another of it runs."""
        lanes = {pending.lane for pending in self.running if pending.lane is not None}
        found = []
        for pending in self.waiting:
            if pending.lane is None or pending.lane not in lanes:
                found.append(pending)
                lanes.add(pending.lane)
        return found

    @rule(
        request_class=st.sampled_from([INTERACTIVE, INTERACTIVE, BACKGROUND]),
        priority=st.integers(0, 6),
        sequence=st.sampled_from([None, None, None, 1, 2]),
        within_s=st.floats(0.1, 50.0),
    )
    def come(self, request_class, priority, sequence, within_s):
        pending = pending_of(
            request_class=request_class, priority=priority, sequence=sequence, deadline_s=self.now_s + within_s
        )
        is_full = len(self.waiting) >= MAX_QUEUED
        may_displace = not pending.is_background and any(other.is_background for other in self.waiting)
        try:
            displaced = self.queue.add(pending, max_queued=MAX_QUEUED)
        except UnavailableError:
            assert is_full
            assert not may_displace
            return
        assert (displaced is not None) == is_full
        if displaced is not None:
            others = [other for other in self.waiting if other.is_background]
            assert displaced is max(others, key=lambda other: (other.priority, self.waiting.index(other)))
            self.waiting.remove(displaced)
        self.waiting.append(pending)

    @rule(together=st.integers(1, 3))
    def choose(self, together):
        in_line = self.in_line()
        chosen = list(self.queue.in_turn())[:together]
        assert bool(chosen) == bool(in_line)
        if not chosen:
            return
        first = chosen[0]
        assert first is self.queue.first()
        assert all(pending in in_line for pending in chosen)
        self.check_turn(first, in_line)
        self.queue.take(chosen)
        for pending in chosen:
            self.waiting.remove(pending)
        self.running += chosen

    def check_turn(self, first, in_line):
        of_class = [pending for pending in in_line if pending.is_background == first.is_background]
        is_first = first is min(of_class, key=lambda pending: (pending.priority, pending.number))
        assert is_first or first is min(of_class, key=lambda pending: pending.number)
        has_both = len({pending.is_background for pending in in_line}) == 2
        self.passed_background = self.passed_background + 1 if has_both and not first.is_background else 0
        assert self.passed_background < FAIR_EVERY
        has_several = len({pending.priority for pending in of_class}) > 1
        is_longest = first is min(of_class, key=lambda pending: pending.number)
        passed = self.passed_longest[first.is_background] + 1 if has_several and not is_longest else 0
        self.passed_longest[first.is_background] = passed
        assert passed < FAIR_EVERY

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data):
        pending = data.draw(st.sampled_from(self.running))
        self.running.remove(pending)
        self.queue.leave(pending)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        pending = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(pending)
        self.queue.remove(pending)

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds):
        self.now_s += seconds
        late = [pending for pending in self.waiting if pending.deadline_s <= self.now_s]
        assert set(self.queue.expire(self.now_s)) == set(late)
        self.waiting = [pending for pending in self.waiting if pending not in late]

    @invariant()
    def queue_knows_who_waits(self):
        assert len(self.queue) == len(self.waiting) <= MAX_QUEUED
        assert set(self.queue) == set(self.waiting)
        assert self.queue.next_deadline_s() == min((p.deadline_s for p in self.waiting), default=float("inf"))


TestQueueWalk = QueueWalk.TestCase
TestQueueWalk.settings = settings(max_examples=100, stateful_step_count=60, deadline=None, database=None)
