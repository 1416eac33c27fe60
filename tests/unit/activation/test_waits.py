"""How long candidates wait: by count and by date, over restarts, with clocks that jump."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edged.activation.waits import WaitNote, WaitNotes, Waits
from edged.ids import ModelName, Version

GAUGE, MAGIKA = ModelName("gauge"), ModelName("magika")
OLD, NEW = Version(1, 0, 0), Version(1, 1, 0)
DAY_S = 86_400.0


def restarted(waits, *, was_s, now_s):
    """What a later life of the daemon knows of an earlier one."""
    kept = msgspec.json.decode(msgspec.json.encode(waits.notes(now_s=was_s)), type=WaitNotes)
    return Waits.of_notes(kept, now_s=now_s)


def test_a_wait_begins_with_the_first_question():
    waits = Waits()
    for now_s in (10.0, 15.0, 40.0):
        waits.ask(GAUGE, NEW, now_s=now_s)

    assert waits.waited_s(GAUGE, now_s=40.0, unix_s=None) == 30.0


def test_another_version_waits_from_its_own_first_question():
    waits = Waits()
    waits.ask(GAUGE, OLD, now_s=0.0)
    waits.ask(GAUGE, NEW, now_s=100.0)

    assert waits.waited_s(GAUGE, now_s=101.0, unix_s=None) == 1.0


def test_models_wait_each_for_itself():
    waits = Waits()
    waits.ask(GAUGE, NEW, now_s=0.0)
    waits.ask(MAGIKA, NEW, now_s=50.0)
    waits.forget(GAUGE)

    assert waits.waited_s(MAGIKA, now_s=60.0, unix_s=None) == 10.0
    assert len(waits) == 1


def test_a_restart_goes_on_counting_where_the_notes_end():
    waits = Waits()
    waits.ask(GAUGE, NEW, now_s=1000.0)

    again = restarted(waits, was_s=1600.0, now_s=5.0)
    again.ask(GAUGE, NEW, now_s=7.0)

    assert again.waited_s(GAUGE, now_s=15.0, unix_s=None) == 610.0


def test_nights_without_power_count_once_the_date_is_known():
    waits = Waits()
    waits.ask(GAUGE, NEW, now_s=100.0)
    waits.date(now_s=160.0, unix_s=1e9)

    again = restarted(waits, was_s=200.0, now_s=3.0)

    assert again.waited_s(GAUGE, now_s=3.0, unix_s=None) == 100.0
    assert again.waited_s(GAUGE, now_s=3.0, unix_s=1e9 + 7 * DAY_S) == 7 * DAY_S + 60.0


def test_a_date_is_set_once():
    waits = Waits()
    waits.ask(GAUGE, NEW, now_s=0.0)
    waits.date(now_s=10.0, unix_s=1e9)
    waits.date(now_s=20.0, unix_s=2e9)

    assert waits.notes(now_s=20.0).models[GAUGE].since_unix_s == 1e9 - 10.0


@given(
    steps=st.lists(st.floats(0, DAY_S), min_size=1, max_size=8),
    clocks=st.lists(st.floats(-1e9, 1e10), min_size=1, max_size=8),
)
def test_a_clock_that_jumps_back_never_makes_a_wait_shorter_than_was_counted(steps, clocks):
    waits = Waits()
    waits.ask(GAUGE, NEW, now_s=0.0)
    now_s = 0.0
    for step_s, unix_s in zip(steps, clocks, strict=False):
        now_s += step_s
        waits.date(now_s=now_s, unix_s=unix_s)
        assert waits.waited_s(GAUGE, now_s=now_s, unix_s=unix_s) >= now_s


def test_an_operator_opens_the_window_for_one_version():
    waits = Waits()
    waits.ask(GAUGE, OLD, now_s=0.0)
    waits.open(GAUGE, now_s=10.0)
    waits.ask(GAUGE, OLD, now_s=11.0)
    assert waits.is_opened(GAUGE)
    assert not waits.is_opened(MAGIKA)

    waits.ask(GAUGE, NEW, now_s=12.0)

    assert not waits.is_opened(GAUGE)


def test_what_an_operator_said_before_a_candidate_is_known_is_good_for_the_first():
    waits = Waits()
    waits.open(GAUGE, now_s=0.0)
    again = restarted(waits, was_s=1.0, now_s=0.0)
    again.ask(GAUGE, NEW, now_s=2.0)
    again.ask(GAUGE, NEW, now_s=3.0)

    assert again.is_opened(GAUGE)
    assert again.notes(now_s=3.0).models[GAUGE].version == "1.1.0"


def test_a_wait_that_is_forgotten_begins_anew():
    waits = Waits()
    waits.open(GAUGE, now_s=0.0)
    waits.forget(GAUGE)
    waits.forget(MAGIKA)
    waits.ask(GAUGE, NEW, now_s=500.0)

    assert not waits.is_opened(GAUGE)
    assert waits.notes(now_s=500.0) == WaitNotes(models={GAUGE: WaitNote(version="1.1.0")})
