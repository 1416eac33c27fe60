"""The ring of events: what is kept, what a listener finds out, and that nobody who is slow costs memory."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.api.event_log import Events


def numbers(events, after=0):
    return [event.number for event in events.after(after, most=1000)]


def test_events_are_kept_in_order_and_written_once():
    events = Events(epoch="a1")
    events.publish("slot", {"slot": "a"})
    events.publish("context", {"x": 1})

    first, second = events.after(0, most=10)

    assert (first.number, first.type, first.data) == (1, "slot", b'{"slot":"a"}')
    assert (second.number, second.type, second.data) == (2, "context", b'{"x":1}')
    assert events.newest == 2


def test_a_listener_reads_on_from_its_place():
    events = Events(epoch="a1")
    for _ in range(5):
        events.publish("slot", {})

    assert [event.number for event in events.after(2, most=2)] == [3, 4]
    assert events.after(5, most=10) == []


@given(
    sizes=st.lists(st.integers(min_value=0, max_value=40), max_size=60),
    most=st.integers(1, 10),
    most_bytes=st.integers(50, 200),
)
def test_the_ring_is_bounded_and_keeps_the_newest(sizes, most, most_bytes):
    events = Events(epoch="a1", max_events=most, max_bytes=most_bytes)
    for size in sizes:
        events.publish("slot", "x" * size)

    kept = events.after(0, most=1000)

    assert len(kept) <= most
    assert sum(len(event.data) for event in kept) <= most_bytes
    assert [event.number for event in kept] == list(range(events.newest - len(kept) + 1, events.newest + 1))
    assert kept or not sizes
    for number in range(events.newest + 1):
        assert events.reaches(number) == (number >= events.newest - len(kept))


def test_an_event_larger_than_the_ring_is_not_kept_and_counts_as_missed():
    events = Events(epoch="a1", max_bytes=10)
    events.publish("slot", "x" * 100)

    assert numbers(events) == []
    assert not events.reaches(0)
    assert events.reaches(1)


@pytest.mark.parametrize(
    ("last_id", "number"),
    [
        ("a1-0", None),
        ("a1-1", 1),
        ("a1-3", 3),
        ("a1-4", None),
        ("b2-3", None),
        ("", None),
        ("3", None),
        ("a1-", None),
        ("a1-3\n", None),
        ("a1-٣", None),
        ("a1-9999999999999999", None),
    ],
)
def test_an_id_is_found_while_all_after_it_is_known(last_id, number):
    events = Events(epoch="a1", max_events=2)
    for _ in range(3):
        events.publish("slot", {})

    assert events.find(last_id) == number


@pytest.mark.parametrize(("published", "number"), [(0, 0), (2, 0), (3, None)])
def test_everything_since_the_start_is_found_while_nothing_of_it_is_lost(published, number):
    events = Events(epoch="a1", max_events=2)
    for _ in range(published):
        events.publish("slot", {})

    assert events.find("0-0") == number


def test_what_id_of_gives_is_found_again():
    events = Events(epoch="68fa")
    events.publish("slot", {})

    assert events.find(events.id_of(1)) == 1


async def test_whoever_waits_is_woken_by_the_next_event_and_by_the_end():
    events = Events(epoch="a1")
    listeners = [asyncio.create_task(events.wait(0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(listener.done() for listener in listeners)

    events.publish("slot", {})
    await asyncio.gather(*listeners)
    last = asyncio.create_task(events.wait(1))
    await asyncio.sleep(0)
    assert not last.done()
    events.close()
    await last


async def test_whoever_gives_up_waiting_is_forgotten():
    events = Events(epoch="a1")
    for _ in range(100):
        listener = asyncio.create_task(events.wait(0))
        await asyncio.sleep(0)
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)

    assert not events._waiting
