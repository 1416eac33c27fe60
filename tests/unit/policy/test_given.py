"""Situations as people write them."""

import pytest

from edged.policy.given import CALM, MODEL, Situation, given_problems, situation_of
from edged.policy.quantities import QUANTITIES, Kind
from edged.runtime.calls import RequestClass
from edged.sense.context import Context, Level, Link, PowerSource
from edged.sense.reading import known

EXAMPLES = {
    Kind.LEVEL: "serious",
    Kind.NUMBER: "7.5",
    Kind.BOOLEAN: "true",
    Kind.WORD: "somewhere",
    Kind.SET: "cpu,npu",
    Kind.HOURS: "23:10",
}
ALWAYS_KNOWN = {"accelerators", "regulatory", "model", "request", "consent"}


def test_what_is_not_given_is_as_on_a_calm_device():
    assert situation_of({}) == Situation()
    assert situation_of({}).context is CALM
    assert situation_of({}).ask.model == MODEL


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_quantity_can_be_given_as_text_and_is_read_back(name):
    quantity = QUANTITIES[name]
    text = quantity.words[-1] if quantity.words else EXAMPLES[quantity.kind]
    nothing = Situation(context=Context(accelerators=frozenset()))

    situation = situation_of({name: text}, nothing)

    assert quantity.read(situation.context, situation.ask).value is not None
    assert situation != nothing


@pytest.mark.parametrize("name", sorted(set(QUANTITIES) - ALWAYS_KNOWN))
def test_every_reading_can_be_given_as_unknown(name):
    situation = situation_of({name: "unknown"})

    assert QUANTITIES[name].read(situation.context, situation.ask).reason == "it was given as unknown"


@pytest.mark.parametrize("name", sorted(ALWAYS_KNOWN))
def test_what_is_always_known_cannot_be_unknown(name):
    assert given_problems({name: "unknown"})


def test_values_have_the_types_of_a_context():
    given = {"thermal": "serious", "power": "battery:15", "link": "offline", "hours": "23:10", "idle_s": 5}

    context = situation_of(given).context

    assert context.thermal == known(Level.SERIOUS)
    assert (context.power, context.battery_percent) == (known(PowerSource.BATTERY), known(15.0))
    assert context.link == known(Link.OFFLINE)
    assert context.minute_of_day == known(23 * 60 + 10)
    assert context.idle_s == known(5.0)


def test_a_later_value_wins():
    assert situation_of({"power": "battery:15", "battery_percent": "40"}).context.battery_percent == known(40.0)


def test_what_is_given_goes_over_a_device_as_it_is():
    base = Situation(context=Context(power=known(PowerSource.MAINS), flags={"beta": True}))

    situation = situation_of({"thermal": "critical", "flag.speed": "2"}, base)

    assert situation.context.thermal == known(Level.CRITICAL)
    assert situation.context.power == known(PowerSource.MAINS)
    assert situation.context.flags == {"beta": True, "speed": 2}
    assert situation.context.headroom.value is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("false", False), ("3", 3), ("0.5", 0.5), ("blue", "blue"), (True, True)]
)
def test_a_flag_is_what_its_text_looks_like(text, value):
    found = situation_of({"flag.x": text}).context.flags["x"]

    assert (found, type(found)) == (value, type(value))


def test_flags_and_labels_can_be_taken_away():
    base = Situation(context=Context(flags={"a": 1, "b": 2}, labels={"ring": "canary"}))

    context = situation_of({"flag.a": "unknown", "label.ring": "unknown"}, base).context

    assert context.flags == {"b": 2}
    assert context.labels == {}


def test_the_request_is_a_part_of_it():
    ask = situation_of({"request": "background", "consent": True, "accuracy": "degraded", "model": "lane"}).ask

    assert ask.request_class is RequestClass.BACKGROUND
    assert ask.has_consent
    assert ask.accuracy == known("degraded")
    assert ask.model == "lane"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("thermall", "serious", "did you mean thermal?"),
        ("thermal", "seriuos", "did you mean serious?"),
        ("thermal", ">= serious", "expected nominal"),
        ("battery_percent", "low", "expected a number"),
        ("battery_percent", "nan", "expected a number"),
        ("battery_percent", True, "expected a number"),
        ("power", "battery:low", "expected a number"),
        ("power", "sun", "expected mains or battery"),
        ("throttled", "yes", "expected true or false"),
        ("hours", "9:00", "such as 23:10"),
        ("hours", "24:00", "such as 23:10"),
    ],
)
def test_what_cannot_be_read_is_named(name, value, words):
    (problem,) = given_problems({"idle_s": 5, name: value})

    assert problem.pointer == name
    assert words in problem.expected


def test_what_is_no_quantity_is_told_without_its_value():
    (problem,) = given_problems({"termal": "serious"})

    assert str(problem) == "termal: expected the name of a quantity; did you mean thermal?"


def test_accelerators_that_there_are_none_of_are_named():
    (problem,) = given_problems({"accelerators": "cpu,gpuu"})

    assert str(problem) == "accelerators: expected cpu, gpu or npu (did you mean gpu?), got 'cpu,gpuu'"
