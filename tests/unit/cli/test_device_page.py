"""The page of the device: what is known in one line each, and why something is not."""

from edged.api.documents.context import describe_context
from edged.cli.device_page import render
from edged.policy.given import situation_of
from edged.sense.assemble import Sensor
from edged.sense.context import Context
from edged.sense.reading import known, unknown


def page(context, *sensors):
    return render(describe_context(context, sensors=sensors))


def line(text, title):
    """Return what the page says under a title."""
    return next(one.removeprefix(title).strip() for one in text.splitlines() if one.startswith(f"{title}  "))


def test_what_is_known_is_said_in_peoples_units():
    situation = {"thermal": "serious", "headroom": 1.05, "hottest_celsius": 83, "next_level_s": 240}
    text = page(situation_of(situation | {"power": "battery:42", "metered": True, "idle_s": 75}).context)

    assert line(text, "Heat") == "serious, hottest 83.0 degC, headroom 1.05 (serious at 1), next level in 4 min"
    assert line(text, "Power") == "battery, 42 %, draws 5.0 W"
    assert line(text, "Throttled") == "no"
    assert line(text, "Network") == "ethernet, metered, round trip 20 ms"
    assert line(text, "Idle") == "1 min 15 s"
    assert line(text, "Memory left") == "1.1 GB"
    assert line(text, "Clock") == "12:00"


def test_what_is_not_known_says_why():
    text = page(Context(power=unknown("BAT0 says nothing"), clock_trusted=known(value=False)))

    assert line(text, "Power") == "unknown (BAT0 says nothing)"
    assert line(text, "Load") == "unknown (not read yet)"
    assert line(text, "Clock") == "unknown (not read yet), not believed"


def test_flags_and_labels_are_named():
    text = page(Context(flags={"fast": True, "limit": 0.5}, labels={"ring": "canary"}))

    assert line(text, "Flags") == "fast=yes, limit=0.5"
    assert line(text, "Labels") == "ring=canary"


def test_sensors_are_listed_one_by_one_and_those_that_lie_by_name():
    text = page(
        Context(complaints=("zone1: it leaps",)),
        Sensor(name="zone0", quantity="temperature", value=known(41.5), unit="degC", note="of the chip"),
        Sensor(name="zone1", quantity="temperature", value=unknown("asleep"), unit="degC"),
    )

    assert "zone0   temperature  41.5 degC         of the chip\n" in text
    assert "zone1   temperature  unknown (asleep)\n" in text
    assert text.endswith("Sensors that do not count:\n  zone1: it leaps\n")


def test_a_terminal_is_safe_from_what_a_driver_calls_itself():
    text = page(Context(complaints=("\x1b[2Jzone: x",)), Sensor(name="\x1b[31m", quantity="q", value=known(1.0)))

    assert "\x1b" not in text
