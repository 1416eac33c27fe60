"""Who waits for work: one thread at a time, and never nobody."""

import queue
import threading

import pytest

from edged.worker.lead import Lead
from tests.fakes.patience import PATIENCE_S


class Ticks:
    """The watcher's pause, which ends when a test says so."""

    def __init__(self):
        self._asked, self._go = queue.SimpleQueue(), queue.SimpleQueue()
        self.is_over = False

    def __call__(self):
        self._asked.put(None)
        if not self.is_over:
            self._go.get(timeout=PATIENCE_S)

    def pass_one(self):
        """Let one pause end; it has begun when this returns."""
        self._asked.get(timeout=PATIENCE_S)
        self._go.put(None)

    def begin_next(self):
        """Wait until the watcher has looked and pauses again."""
        self._asked.get(timeout=PATIENCE_S)
        self._asked.put(None)

    def end(self):
        self.is_over = True
        self._go.put(None)


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def make_lead(ticks):
    made = []

    def make(*, is_short):
        lead = Lead(lambda: is_short, pause=ticks)
        lead.start()
        made.append(lead)
        return lead

    yield make
    for lead in made:
        lead.close()
        ticks.end()
        lead._watcher.join(PATIENCE_S)
        assert not lead._watcher.is_alive()


def follow(lead):
    """Have another thread want the lead; the event is set once it has it."""
    has_lead = threading.Event()

    def take():
        lead.take()
        has_lead.set()

    threading.Thread(target=take, daemon=True).start()
    return has_lead


def test_long_work_begins_with_the_lead_handed_on(make_lead):
    lead = make_lead(is_short=False)
    lead.take()
    follower = follow(lead)
    term = lead.begin()

    assert follower.wait(PATIENCE_S)
    assert not lead.end(term)


def test_short_work_is_done_with_the_lead_kept(make_lead):
    lead = make_lead(is_short=True)
    lead.take()
    follower = follow(lead)

    for _ in range(3):
        assert lead.end(lead.begin())
    assert not follower.is_set()
    lead.hand_on()
    assert follower.wait(PATIENCE_S)


def test_work_that_takes_long_after_all_loses_the_lead(make_lead, ticks):
    lead = make_lead(is_short=True)
    lead.take()
    follower = follow(lead)
    term = lead.begin()
    ticks.pass_one()
    ticks.pass_one()

    assert follower.wait(PATIENCE_S)
    assert not lead.end(term), "another thread leads by now"


def test_many_short_works_in_a_row_do_not_look_like_a_long_one(make_lead, ticks):
    lead = make_lead(is_short=True)
    lead.take()
    follower = follow(lead)
    for _ in range(5):
        term = lead.begin()
        ticks.pass_one()
        ticks.begin_next()
        assert lead.end(term)
    assert not follower.is_set()
    lead.hand_on()


def test_one_who_lost_the_lead_does_not_take_it_from_the_next(make_lead, ticks):
    lead = make_lead(is_short=True)
    lead.take()
    follower = follow(lead)
    first = lead.begin()
    ticks.pass_one()
    ticks.pass_one()
    assert follower.wait(PATIENCE_S)
    second = lead.begin()

    assert not lead.end(first)
    assert lead.end(second), "whoever leads now still does"
