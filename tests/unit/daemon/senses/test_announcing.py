"""What is news about the device: for listeners of events, and for the journal."""

import json

import pytest

from edged import journal
from edged.api.event_log import Events
from edged.daemon.pace import EVENTS_MOST, EVENTS_PER_S, JOURNAL_MOST, JOURNAL_PER_S
from edged.daemon.senses.announcing import Announcer
from edged.sense.context import Context, Level, PowerSource
from edged.sense.reading import known, unknown
from tests.fakes.clocks import Later
from tests.fakes.contexts import FakeContexts

CALM = {"thermal": known(Level.NOMINAL), "power": known(PowerSource.MAINS), "hottest_celsius": known(40.0)}


@pytest.fixture
def device():
    return FakeContexts(**CALM)


@pytest.fixture
def later():
    return Later()


@pytest.fixture
def events(device, later):
    events = Events(epoch="a1")
    device.on_change(Announcer(events, device.current, clock=later.clock, later=later).take)
    return events


def published(events):
    return [(event.type, json.loads(event.data)) for event in events.after(0, most=100)]


def journaled(caplog):
    """Return the events of the journal: which, and their fields."""
    by_id = {
        getattr(journal, name).message_id: name
        for name in dir(journal)
        if name.isupper()
        if isinstance(getattr(journal, name), journal.Event)
    }
    return [
        (by_id[record.edged_message_id], record.edged_fields)
        for record in caplog.records
        if getattr(record, "edged_message_id", "")
    ]


def test_numbers_that_drift_are_no_news(device, events, caplog):
    device.set(cpu_pressure=known(3.0), hottest_celsius=known(41.0), load_per_core=known(0.3), idle_s=known(7.0))

    assert published(events) == []
    assert journaled(caplog) == []


def test_a_word_that_changes_is_news_with_all_that_is_known(device, events):
    device.set(throttled=known(value=True))
    ((kind, document),) = published(events)

    assert kind == "context"
    assert document["quantities"]["throttled"] == {"value": True}
    assert document["quantities"]["thermal"] == {"value": "nominal"}


def test_battery_charge_is_news_by_whole_percents(device, events):
    for percent in (50.0, 50.3, 49.8, 49.4):
        device.set(battery_percent=known(percent))

    assert [data["quantities"]["battery_percent"]["value"] for _, data in published(events)] == [50.0, 49.4]


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (known(Level.NOMINAL), known(Level.FAIR), "HEAT_CHANGED"),
        (known(Level.FAIR), known(Level.SERIOUS), "HEAT_ROSE"),
        (known(Level.SERIOUS), known(Level.CRITICAL), "HEAT_ROSE"),
        (known(Level.CRITICAL), known(Level.SERIOUS), "HEAT_CHANGED"),
        (unknown("no sensor"), known(Level.SERIOUS), "HEAT_ROSE"),
        (known(Level.SERIOUS), unknown("no sensor"), "HEAT_CHANGED"),
    ],
)
def test_levels_of_heat_are_journaled(device, events, caplog, before, after, event):
    device.set(thermal=before)
    caplog.clear()
    with caplog.at_level("INFO"):
        device.set(thermal=after)
    ((found, fields),) = journaled(caplog)

    assert found == event
    assert fields["level"] == ("unknown" if after.value is None else after.value.name.lower())
    assert fields["celsius"] == 40.0


def test_a_plug_that_is_pulled_is_journaled(device, events, caplog):
    with caplog.at_level("INFO"):
        device.set(power=known(PowerSource.BATTERY), battery_percent=known(81.6))

    assert journaled(caplog) == [
        ("POWER_CHANGED", {"source": "battery", "before": "mains", "percent": 82, "reason": ""})
    ]


def test_a_sensor_that_lies_is_named_once_however_the_reason_is_worded(device, events, caplog):
    with caplog.at_level("INFO"):
        device.set(complaints=("zone0: it vanished; 5 s ago it said 40.0 degC",))
        device.set(complaints=("zone0: it vanished; 10 s ago it said 40.0 degC",))
        device.set(complaints=())

    assert [(event, fields["sensor"]) for event, fields in journaled(caplog)] == [
        ("SENSOR_DOUBTED", "zone0"),
        ("SENSOR_BELIEVED", "zone0"),
    ]
    assert len(published(events)) == 2


def test_the_first_context_is_no_news(later):
    events = Events(epoch="a1")
    Announcer(events, Context(**CALM), clock=later.clock, later=later).take(Context(**CALM, serial=1))

    assert published(events) == []


def wiggle(device, later, *, times, every_s=0.125):
    """Have a plug change its mind, as fast as a loose one is looked at."""
    for _ in range(times):
        is_on = device.current.power.value is PowerSource.MAINS
        device.set(power=known(PowerSource.BATTERY if is_on else PowerSource.MAINS))
        later.advance(every_s)


def test_a_loose_plug_is_in_the_journal_a_few_times_and_then_once_a_minute(device, events, later, caplog):
    """Eight times a second for three minutes."""
    with caplog.at_level("INFO"):
        wiggle(device, later, times=3 * 480)
    told = journaled(caplog)

    assert [event for event, _ in told] == ["POWER_CHANGED"] * JOURNAL_MOST + ["READING_UNSTEADY"] * 3
    assert told[-1][1] == {"quantity": "power", "times": 480, "seconds": 60, "now": "mains"}


def test_the_last_word_of_the_journal_is_how_it_is(device, events, later, caplog):
    wiggle(device, later, times=JOURNAL_MOST + 1)
    with caplog.at_level("INFO"):
        later.advance(JOURNAL_PER_S)
    ((event, fields),) = journaled(caplog)

    assert event == "READING_UNSTEADY"
    assert (fields["now"], fields["times"]) == (device.current.power.value, JOURNAL_MOST + 1)


LIES = ("zone1: it leaps", "zone0: it vanished")


@pytest.mark.parametrize(
    ("change", "back", "counted"),
    [
        pytest.param({"thermal": known(Level.CRITICAL)}, CALM, ("heat", "nominal"), id="heat"),
        pytest.param({"thermal": unknown("no sensor")}, {"thermal": known(Level.FAIR)}, ("heat", "fair"), id="silence"),
        pytest.param(CALM, {"power": unknown("no supply")}, ("power", "unknown"), id="power"),
        pytest.param({"complaints": LIES}, {"complaints": ()}, ("sensors", "all are believed"), id="honest again"),
        pytest.param({"complaints": ()}, {"complaints": LIES}, ("sensors", "zone0, zone1"), id="lying again"),
    ],
)
def test_whatever_flaps_is_counted_and_said_as_it_is_now(device, events, later, caplog, change, back, counted):
    device.set(**back)
    caplog.clear()
    with caplog.at_level("INFO"):
        for _ in range(JOURNAL_MOST):
            device.set(**change)
            device.set(**back)
        later.advance(JOURNAL_PER_S)
    *_, (event, fields) = journaled(caplog)

    assert event == "READING_UNSTEADY"
    assert (fields["quantity"], fields["now"], fields["seconds"]) == (*counted, 60)
    assert len(journaled(caplog)) <= 2 * JOURNAL_MOST + 1


def test_sensors_that_begin_to_lie_together_are_named_in_the_order_of_their_names(device, events, caplog):
    with caplog.at_level("INFO"):
        device.set(complaints=LIES)
        device.set(complaints=())

    assert [fields["sensor"] for _, fields in journaled(caplog)] == ["zone0", "zone1"] * 2


def test_heat_of_a_device_whose_sensors_fall_silent_is_journaled_without_a_temperature(device, events, caplog):
    with caplog.at_level("INFO"):
        device.set(thermal=unknown("no sensor"), hottest_celsius=unknown("no sensor"))
    ((_, fields),) = journaled(caplog)

    assert (fields["celsius"], fields["reason"]) == ("unknown", "no sensor")


def test_a_plug_that_holds_again_is_told_of_each_time_again(device, events, later, caplog):
    wiggle(device, later, times=100)
    later.advance(JOURNAL_PER_S)
    later.advance(JOURNAL_PER_S)
    caplog.clear()
    with caplog.at_level("INFO"):
        wiggle(device, later, times=2)

    assert [event for event, _ in journaled(caplog)] == ["POWER_CHANGED"] * 2


def test_a_minute_without_too_much_ends_the_silence_after_it(device, events, later, caplog):
    wiggle(device, later, times=100)
    later.advance(JOURNAL_PER_S)
    caplog.clear()
    with caplog.at_level("INFO"):
        wiggle(device, later, times=1)
        later.advance(JOURNAL_PER_S)
        wiggle(device, later, times=1)

    assert [event for event, _ in journaled(caplog)] == ["READING_UNSTEADY", "POWER_CHANGED"]


def test_a_loose_plug_hides_nothing_else(device, events, later, caplog):
    wiggle(device, later, times=100)
    caplog.clear()
    with caplog.at_level("INFO"):
        device.set(thermal=known(Level.CRITICAL))

    assert [event for event, _ in journaled(caplog)] == ["HEAT_ROSE"]


def test_listeners_hear_of_a_loose_plug_at_bounded_intervals_and_of_its_last_state(device, events, later):
    wiggle(device, later, times=600)
    later.advance(EVENTS_PER_S)
    told = [data["quantities"]["power"]["value"] for _, data in published(events)]

    assert len(told) <= EVENTS_MOST + 600 * 0.125 / EVENTS_PER_S + 1
    assert told[-1] == device.current.power.value


def test_a_plug_that_is_back_where_listeners_know_it_is_no_news(device, events, later):
    wiggle(device, later, times=EVENTS_MOST)
    before = len(published(events))
    wiggle(device, later, times=2)
    later.advance(EVENTS_PER_S)

    assert len(published(events)) == before
