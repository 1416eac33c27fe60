"""Runs at once keep off each other's cores; a run alone goes where it likes."""

import os
import threading

import pytest

from edged.worker.cores import ANYWHERE, Cores
from edged.worker.lead import SHORT_S
from edged.worker.turns import Ticket, Turns


class Placed:
    """What the system was told, in order."""

    def __init__(self, *, refusal=None):
        self.cores = []
        self._refusal = refusal

    def __call__(self, who, cores):
        assert who == 0, "only the calling thread may be placed"
        self.cores.append(list(cores))
        if self._refusal is not None:
            raise self._refusal


def ticket():
    return Ticket(threading.Event(), 0)


@pytest.mark.parametrize(
    ("lanes", "cores", "dealt"),
    [
        (2, {0, 1}, [[0], [1]]),
        (2, {3, 5, 6, 7}, [[3, 6], [5, 7]]),
        (3, {0, 1, 2, 3}, [[0, 3], [1], [2]]),
    ],
)
def test_every_core_belongs_to_one_lane(lanes, cores, dealt):
    placed = Placed()
    dealer = Cores(lanes, cores, place=placed)
    for lane in range(lanes):
        dealer.move(lane)

    assert placed.cores == dealt


@pytest.mark.parametrize(("lanes", "cores"), [(1, {0, 1}), (3, {0, 1})], ids=["one lane", "fewer cores than lanes"])
def test_nothing_is_placed_where_that_cannot_help(lanes, cores):
    placed = Placed()
    dealer = Cores(lanes, cores, place=placed)
    dealer.move(0)

    assert placed.cores == []


def test_the_system_is_told_only_what_changes():
    placed = Placed()
    dealer = Cores(2, {0, 1}, place=placed)
    for lane in (ANYWHERE, 1, 1, ANYWHERE, ANYWHERE):
        dealer.move(lane)

    assert placed.cores == [[1], [0, 1]]


def test_each_thread_has_its_own_place():
    placed = Placed()
    dealer = Cores(2, {0, 1}, place=placed)
    dealer.move(0)
    other = threading.Thread(target=dealer.move, args=(0,))
    other.start()
    other.join()

    assert placed.cores == [[0], [0]]


def test_a_system_that_refuses_is_asked_once():
    placed = Placed(refusal=PermissionError())
    dealer = Cores(2, {0, 1}, place=placed)
    dealer.move(0)
    dealer.move(1)

    assert placed.cores == [[0]]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_thread_is_where_it_was_put_and_no_other_is():
    mine = os.sched_getaffinity(0)
    found = {}

    def run():
        Cores(2, mine).move(1)
        found["cores"] = os.sched_getaffinity(0)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert found["cores"] == set(sorted(mine)[1::2])
    assert os.sched_getaffinity(0) == mine


def test_a_run_alone_executes_anywhere_and_one_beside_it_on_its_lane():
    placed = Placed()
    turns = Turns(2, Cores(2, {0, 1}, place=placed))
    first, second, third = ticket(), ticket(), ticket()
    turns.enter(first)
    assert placed.cores == []

    turns.enter(second)
    assert len(placed.cores) == 1
    turns.leave(first)
    turns.leave(second)
    turns.enter(third)
    assert placed.cores[1:] == [[0, 1]]


def test_a_turn_that_is_passed_on_keeps_its_lane():
    placed = Placed()
    turns = Turns(2, Cores(2, {0, 1}, place=placed))
    holders = ticket(), ticket()
    for holder in holders:
        turns.enter(holder)
    waiting = ticket()
    thread = threading.Thread(target=turns.enter, args=(waiting,))
    thread.start()
    while not turns._line:
        os.sched_yield()
    turns.leave(holders[0])
    thread.join()

    assert waiting.lane == holders[0].lane != holders[1].lane


def test_short_runs_are_left_where_they_are(monkeypatch):
    """Each is over before it could be in another's way, and being moved takes as long as running."""
    now_s = 100.0
    monkeypatch.setattr("edged.worker.turns.time.monotonic", lambda: now_s)
    placed = Placed()
    turns = Turns(2, Cores(2, {0, 1}, place=placed))
    for _ in range(100):
        one = ticket()
        turns.enter(one)
        now_s += SHORT_S / 10
        turns.leave(one)
    turns.enter(ticket())
    turns.enter(ticket())

    assert placed.cores == []
