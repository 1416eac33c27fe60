"""A sequence goes on where its state is."""

from types import SimpleNamespace

import pytest

from edged.daemon.serving import sequences
from edged.daemon.serving.sequences import Sequences
from edged.ids import ModelName
from edged.runtime.calls import Request, SequenceStep

ECHO, OTHER = ModelName("echo"), ModelName("other")


class Loaded:
    """A variant, as far as sequences go; like nothing but itself."""

    start_error = ""

    def __init__(self, *, has_state: bool = True) -> None:
        self.loadable = SimpleNamespace(variant=SimpleNamespace(state=("s",) if has_state else ()))


def request(id_: int | None = 1, *, uid: int = 1000, start: bool = False, end: bool = False) -> Request:
    step = None if id_ is None else SequenceStep(id=id_, is_start=start, is_end=end)
    return Request(inputs=(), deadline_s=0.0, uid=uid, sequence=step)


@pytest.fixture
def both():
    return [Loaded(), Loaded()]


def test_it_stays_where_it_began_while_that_is_loaded(both):
    places, (one, two) = Sequences(), both
    assert places.place(ECHO, request(start=True), one, both) is one
    assert places.place(ECHO, request(), two, both) is one
    assert places.place(ECHO, request(), two, [two]) is two
    assert places.place(ECHO, request(), one, both) is two


def test_it_does_not_stay_where_no_worker_can_be_started(both):
    """Its state is gone. Where the model answers, its caller is told that, instead of being asked to wait for nothing."""
    places, (one, two) = Sequences(), both
    places.place(ECHO, request(start=True), one, both)
    one.start_error = "no memory"
    assert places.place(ECHO, request(), two, both) is two

    one.start_error = ""
    assert places.place(ECHO, request(), one, both) is two


def test_one_that_starts_again_does_so_in_the_variant_that_is_to_answer(both):
    places, (one, two) = Sequences(), both
    places.place(ECHO, request(start=True), one, both)

    assert places.place(ECHO, request(start=True), two, both) is two
    assert places.place(ECHO, request(), one, both) is two


def test_one_that_has_ended_is_forgotten(both):
    places, (one, two) = Sequences(), both
    places.place(ECHO, request(start=True), one, both)
    assert places.place(ECHO, request(end=True), two, both) is one

    assert places.place(ECHO, request(), two, both) is two


def test_those_of_other_users_models_and_names_are_others(both):
    places, (one, two) = Sequences(), both
    places.place(ECHO, request(start=True), one, both)

    assert places.place(ECHO, request(2), two, both) is two
    assert places.place(ECHO, request(uid=1001), two, both) is two
    assert places.place(OTHER, request(), two, both) is two


def test_requests_of_no_sequence_and_of_models_without_state_go_where_they_should():
    places, one, two = Sequences(), Loaded(has_state=False), Loaded(has_state=False)
    assert places.place(ECHO, request(None), one, [one, two]) is one
    places.place(ECHO, request(start=True), one, [one, two])

    assert places.place(ECHO, request(), two, [one, two]) is two


def test_only_so_many_are_remembered_and_none_whose_variant_is_gone(both, monkeypatch):
    monkeypatch.setattr(sequences, "MOST_KNOWN", 2)
    places, (one, two) = Sequences(), both
    for id_ in (1, 2, 3):
        places.place(ECHO, request(id_, start=True), one, both)
    assert places.place(ECHO, request(1), two, both) is two
    assert places.place(ECHO, request(3), two, both) is one
    places.tidy([two])

    assert places.place(ECHO, request(3), two, both) is two
