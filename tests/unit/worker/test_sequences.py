"""States of sequences: what a request finds, what it leaves, and that there are never too many."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.errors import SequenceError
from edged.runtime.wire import SequenceLimits, Step
from edged.worker.sequences import Sequences
from tests.fakes.clocks import ManualClock
from tests.fakes.workers import spec_of

LIMITS = SequenceLimits(most=4, most_per_caller=2, most_bytes=1000, idle_s=60.0)
INPUTS = {"h": spec_of("h", "FP32", (2, -1)), "n": spec_of("n", "INT64", ())}


def step(id_=1, *, uid=0, start=False, end=False):
    return Step(uid=uid, id=id_, is_start=start, is_end=end)


def states(value, width=1):
    return {"h": np.full((2, width), value, np.float32), "n": np.array(value, np.int64)}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def sequences(clock):
    return Sequences(INPUTS, LIMITS, clock.monotonic_s)


def run(sequences, at, following):
    found = sequences.begin(at)
    sequences.commit(at, following)
    return found


def value(found):
    return found["h"].ravel().tolist(), found["n"].tolist()


def test_a_sequence_begins_with_zeros_of_the_inputs_shapes(sequences):
    found = run(sequences, step(start=True), states(1))

    assert found["h"].dtype == np.float32
    assert found["h"].shape == (2, 1)
    assert value(found) == ([0, 0], 0)


def test_each_request_finds_what_the_one_before_left(sequences):
    run(sequences, step(start=True), states(1))

    assert value(run(sequences, step(), states(2))) == ([1, 1], 1)
    assert value(run(sequences, step(), states(3))) == ([2, 2], 2)


def test_a_start_forgets_what_the_sequence_had(sequences):
    run(sequences, step(start=True), states(1))

    assert value(run(sequences, step(start=True), states(5))) == ([0, 0], 0)
    assert value(sequences.begin(step())) == ([5, 5], 5)


def test_after_its_end_a_sequence_is_not_known(sequences):
    run(sequences, step(start=True), states(1))
    run(sequences, step(end=True), states(2))

    with pytest.raises(SequenceError, match="not known") as caught:
        sequences.begin(step())
    assert "sequence_start" in caught.value.hint


def test_a_sequence_may_begin_and_end_with_one_request(sequences):
    assert value(run(sequences, step(start=True, end=True), states(1))) == ([0, 0], 0)

    with pytest.raises(SequenceError):
        sequences.begin(step())


def test_sequences_of_two_callers_never_meet_whatever_they_are_called(sequences):
    run(sequences, step(1, uid=1, start=True), states(1))
    run(sequences, step(1, uid=2, start=True), states(2))
    run(sequences, step("1", uid=1, start=True), states(3))

    assert value(sequences.begin(step(1, uid=1))) == ([1, 1], 1)
    assert value(sequences.begin(step(1, uid=2))) == ([2, 2], 2)
    assert value(sequences.begin(step("1", uid=1))) == ([3, 3], 3)


def test_a_failed_request_leaves_the_state_as_it_was(sequences):
    run(sequences, step(start=True), states(1))

    for failing in (step(), step(start=True), step(end=True)):
        sequences.begin(failing)
        sequences.abandon(failing)

    assert value(sequences.begin(step())) == ([1, 1], 1)


def test_a_sequence_whose_first_request_failed_was_never_there(sequences):
    sequences.begin(step(start=True))
    sequences.abandon(step(start=True))

    with pytest.raises(SequenceError, match="not known"):
        sequences.begin(step())


def test_one_request_of_a_sequence_runs_at_a_time(sequences):
    sequences.begin(step(start=True))

    for other in (step(), step(start=True)):
        with pytest.raises(SequenceError, match="has a request running"):
            sequences.begin(other)
    sequences.begin(step(2, start=True))


def test_states_are_kept_apart_from_the_arrays_they_came_in(sequences):
    """Outputs may share memory with the datagram that the next request overwrites."""
    following = states(1)
    run(sequences, step(start=True), following)
    following["h"][:] = 9

    assert value(sequences.begin(step())) == ([1, 1], 1)


def test_the_zeros_are_everybodys_and_nobody_may_write_to_them(sequences):
    with pytest.raises(ValueError, match="read-only"):
        sequences.begin(step(start=True))["h"][:] = 1


def test_a_sequence_nobody_continues_is_forgotten(sequences, clock):
    run(sequences, step(1, start=True), states(1))
    clock.advance(40)
    run(sequences, step(2, start=True), states(2))
    clock.advance(40)

    with pytest.raises(SequenceError, match="not known"):
        sequences.begin(step(1))
    assert value(sequences.begin(step(2))) == ([2, 2], 2)


def test_a_request_that_runs_for_long_does_not_lose_its_sequence(sequences, clock):
    run(sequences, step(start=True), states(1))
    sequences.begin(step())
    clock.advance(1000)
    sequences.sweep()
    sequences.commit(step(), states(2))

    assert value(sequences.begin(step())) == ([2, 2], 2)


def test_sweeping_frees_the_memory_of_what_was_forgotten(sequences, clock):
    for i in range(2):
        run(sequences, step(i, start=True), states(1, width=50))
    clock.advance(61)
    sequences.sweep()

    assert (len(sequences._known), sequences._used_bytes, sequences._of_caller) == (0, 0, Counter())


def test_a_caller_with_too_many_sequences_is_refused_and_others_are_not(sequences):
    for i in range(2):
        run(sequences, step(i, start=True), states(1))

    with pytest.raises(SequenceError, match="this caller has 2 sequences") as caught:
        sequences.begin(step(3, start=True))
    assert "serve.max_sequences_per_caller" in caught.value.hint
    run(sequences, step(3, uid=7, start=True), states(1))


def test_beginning_a_known_sequence_anew_is_no_further_one(sequences):
    for i in range(2):
        run(sequences, step(i, start=True), states(1))

    run(sequences, step(1, start=True), states(1))


def test_too_many_sequences_of_all_callers_are_refused_and_nobody_loses_one(sequences):
    for uid in range(4):
        run(sequences, step(uid=uid, start=True), states(uid))

    with pytest.raises(SequenceError, match="has 4 sequences already"):
        sequences.begin(step(uid=9, start=True))
    assert [value(sequences.begin(step(uid=uid)))[1] for uid in range(4)] == [0, 1, 2, 3]


def test_states_that_grow_too_large_fail_the_request_and_stay_what_they_were(sequences):
    run(sequences, step(start=True), states(1))
    sequences.begin(step())

    with pytest.raises(SequenceError, match="have grown to 1608 bytes"):
        sequences.commit(step(), states(2, width=200))
    assert value(sequences.begin(step())) == ([1, 1], 1)


def test_states_that_there_is_no_memory_for_fail_the_request_and_stay_what_they_were(sequences):
    """A worker is at its memory limit for a moment; the sequence goes on afterwards."""
    too_large = {"h": np.broadcast_to(np.float32(1), (2, 1 << 59)), "n": np.array(1, np.int64)}
    with pytest.raises(MemoryError):
        run(sequences, step(start=True), too_large)
    run(sequences, step(start=True), states(1))
    with pytest.raises(MemoryError):
        run(sequences, step(), too_large)

    assert value(run(sequences, step(), states(2))) == ([1, 1], 1)


def test_a_state_of_texts_is_no_state(clock):
    with pytest.raises(ValueError, match="not a tensor of numbers"):
        Sequences({"t": spec_of("t", "BYTES", (1,))}, LIMITS, clock.monotonic_s)


class Walk(RuleBasedStateMachine):
    """Any order of requests, failures and pauses; a model of what should be known is kept beside."""

    def __init__(self):
        super().__init__()
        self.clock = ManualClock()
        self.sequences = Sequences(INPUTS, LIMITS, self.clock.monotonic_s)
        self.expected = {}
        self.running = {}

    @rule(
        uid=st.integers(0, 3), id_=st.integers(0, 3), start=st.booleans(), end=st.booleans(), width=st.integers(0, 60)
    )
    def begin(self, uid, id_, start, end, width):
        at = step(id_, uid=uid, start=start, end=end)
        key = (uid, id_)
        try:
            found = self.sequences.begin(at)
        except SequenceError:
            if start and key not in self.running and self.is_known(key):
                raise AssertionError("a known sequence can always begin anew") from None
            return
        assert key not in self.running
        assert start or self.is_known(key)
        assert value(found) == (([0, 0], 0) if start else self.expected[key][1])
        self.running[key] = at, width

    @rule(data=st.data(), succeeds=st.booleans())
    def end(self, data, succeeds):
        if not self.running:
            return
        key = data.draw(st.sampled_from(sorted(self.running)))
        at, width = self.running.pop(key)
        if not succeeds:
            self.sequences.abandon(at)
            return
        following = states(width, width)
        try:
            self.sequences.commit(at, following)
        except SequenceError:
            assert not at.is_end
            return
        self.expected.pop(key, None)
        if not at.is_end:
            self.expected[key] = self.clock.monotonic_s(), value(following)

    @rule(seconds=st.sampled_from([0.0, 30.0, 61.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def sweep(self):
        self.sequences.sweep()

    def is_known(self, key):
        return key in self.expected and self.clock.monotonic_s() - self.expected[key][0] <= LIMITS.idle_s

    @invariant()
    def limits_hold(self):
        known = self.sequences._known
        assert len(known) <= LIMITS.most
        assert max(Counter(uid for uid, _ in known).values(), default=0) <= LIMITS.most_per_caller
        assert self.sequences._of_caller == Counter(uid for uid, _ in known)
        held = sum(array.nbytes for sequence in known.values() for array in sequence.states.values())
        assert held == self.sequences._used_bytes <= LIMITS.most_bytes


TestWalk = Walk.TestCase


@given(st.lists(st.integers(0, 40), max_size=30))
def test_what_is_kept_is_never_more_than_is_allowed(widths):
    sequences = Sequences(INPUTS, LIMITS, ManualClock().monotonic_s)
    for i, width in enumerate(widths):
        at = step(i % 2, uid=i % 3, start=True)
        try:
            run(sequences, at, states(1, width))
        except SequenceError:
            continue

    assert sequences._used_bytes <= LIMITS.most_bytes
