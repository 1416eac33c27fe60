"""The context as a document: the names of policies, plain values, and reasons."""

import msgspec
import pytest

from edged.api.documents.context import OF_CONTEXT, ContextDocument, describe_context, doubted_sensors, words_of
from edged.policy.given import CALM, situation_of
from edged.sense.assemble import Sensor
from edged.sense.context import Context, Level, Link, PowerSource
from edged.sense.reading import known, unknown


def said(name, context):
    return describe_context(context).quantities[name]


@pytest.mark.parametrize(
    ("name", "context", "value"),
    [
        ("thermal", Context(thermal=known(Level.SERIOUS)), "serious"),
        ("power", Context(power=known(PowerSource.BATTERY)), "battery"),
        ("link", Context(link=known(Link.CELLULAR)), "cellular"),
        ("hours", Context(minute_of_day=known(65)), "01:05"),
        ("accelerators", Context(accelerators=frozenset({"gpu", "cpu"})), ("cpu", "gpu")),
        ("battery_percent", Context(battery_percent=known(12.5)), 12.5),
        ("memory_available_bytes", Context(memory_available_bytes=known(1 << 40)), 1 << 40),
        ("metered", Context(metered=known(value=False)), False),
        ("regulatory", Context(regulatory="medical"), "medical"),
    ],
)
def test_values_are_plain(name, context, value):
    assert said(name, context).value == value


def test_what_is_not_known_has_its_reason():
    status = said("power", Context(power=unknown("no supply says anything")))

    assert (status.value, status.reason) == (None, "no supply says anything")


def test_a_document_has_every_quantity_of_a_context_and_survives_json():
    document = describe_context(
        CALM, sensors=[Sensor(name="z", quantity="temperature", value=known(40.0), unit="degC")]
    )

    assert document.quantities.keys() == OF_CONTEXT.keys()
    assert "model" not in document.quantities
    assert msgspec.json.decode(msgspec.json.encode(document), type=ContextDocument) == document


@pytest.mark.parametrize(
    "name", [name for name, one in describe_context(CALM).quantities.items() if one.value is not None]
)
def test_a_value_can_be_given_to_a_policy_under_its_name(name):
    """What ``edgectl device`` shows is what ``edgectl policy explain --set`` takes."""
    value = said(name, CALM).value
    text = ",".join(value) if isinstance(value, tuple) else value

    assert said(name, situation_of({name: text}, None).context).value == value


def test_sensors_are_listed_with_reasons_and_notes():
    sensors = [
        Sensor(name="a", quantity="temperature", value=unknown("asleep"), unit="degC", note="of the disk"),
        Sensor(name="b", quantity="slowed", value=known(value=True)),
        Sensor(name="c", quantity="clock", value=known(1_800_000_000), unit="Hz"),
    ]

    first, second, third = describe_context(CALM, sensors=sensors).sensors

    assert (first.value, first.reason, first.note) == (None, "asleep", "of the disk")
    assert second.value is True
    assert third.value == 1.8e9


def test_words_are_what_is_news():
    assert words_of(CALM) == words_of(situation_of({"headroom": 0.5, "cpu_pressure": 70, "hours": "13:00"}).context)
    assert words_of(CALM) != words_of(situation_of({"thermal": "fair"}).context)
    assert words_of(CALM) != words_of(situation_of({"flag.x": True}).context)
    assert words_of(CALM) != words_of(situation_of({"accelerators": "npu"}).context)


def test_doubted_sensors_are_known_by_their_names():
    context = Context(complaints=("hwmon2 temp1 (nvme): it leaps: far", "BAT0: a battery cannot be 130 % full"))

    assert doubted_sensors(context) == {
        "hwmon2 temp1 (nvme)": "it leaps: far",
        "BAT0": "a battery cannot be 130 % full",
    }
