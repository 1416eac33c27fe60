"""What is news about the device: for listeners of events, and for the journal."""

import json

import pytest

from edged import journal
from edged.api.event_log import Events
from edged.daemon.senses.announcing import Announcer
from edged.sense.context import Context, Level, PowerSource
from edged.sense.reading import known, unknown
from tests.fakes.contexts import FakeContexts

CALM = {"thermal": known(Level.NOMINAL), "power": known(PowerSource.MAINS), "hottest_celsius": known(40.0)}


@pytest.fixture
def device():
    return FakeContexts(**CALM)


@pytest.fixture
def events(device):
    events = Events(epoch="a1")
    device.on_change(Announcer(events, device.current).take)
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


def test_the_first_context_is_no_news():
    events = Events(epoch="a1")
    Announcer(events, Context(**CALM)).take(Context(**CALM, serial=1))

    assert published(events) == []
