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


def test_a_calm_device_is_cool_idle_plugged_in_and_connected_at_noon():
    """The tests of policies lean on that: of a quantity that is not known, no condition would hold."""
    calm = {name: QUANTITIES[name].read(CALM, situation_of({}).ask).value for name in QUANTITIES}

    assert {name for name, value in calm.items() if value is None} == {"next_level_s", "accuracy"}
    assert (calm["thermal"], calm["throttled"], calm["hours"]) == (Level.NOMINAL, False, 12 * 60)
    assert (calm["power"], calm["battery_percent"]) == (PowerSource.MAINS, 100.0)
    assert (calm["link"], calm["metered"], calm["clock_trusted"]) == (Link.ETHERNET, False, True)
    assert calm["headroom"] < 1
    assert calm["idle_s"] >= 600
    assert max(calm[f"{what}_pressure"] for what in ("cpu", "memory", "io")) == 0.0


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


def test_values_given_as_text_are_those_of_a_device_not_texts():
    context = situation_of({"power": "mains", "link": "wifi", "memory_available_bytes": "1073741824"}).context

    assert type(context.power.value) is PowerSource
    assert type(context.link.value) is Link
    assert repr(context.memory_available_bytes.value) == "1073741824"


@pytest.mark.parametrize(
    ("name", "span"), [("hottest_celsius", ""), ("idle_s", " from 0"), ("battery_percent", " from 0 to 100")]
)
def test_what_a_number_may_be_is_said_as_far_as_it_has_limits(name, span):
    (problem,) = given_problems({name: "much"})

    assert problem.expected == f"expected a number{span}"


@pytest.mark.parametrize("percent", ["0", "100"])
def test_a_number_may_reach_its_limits(percent):
    assert situation_of({"battery_percent": percent}).context.battery_percent == known(float(percent))


def test_spaces_in_a_list_do_not_matter():
    assert situation_of({"accelerators": "cpu, npu , "}).context.accelerators == {"cpu", "npu"}


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
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ("3", 3),
        ("-3", -3),
        ("0.5", 0.5),
        ("3.0", 3.0),
        ("1e3", 1000.0),
        ("12345678901234567891", 12345678901234567891),
        ("blue", "blue"),
        ("nan", "nan"),
        ("infinity", "infinity"),
        ("1e400", "1e400"),
        ("1_000", "1_000"),
        (True, True),
        (3, 3),
    ],
)
def test_a_flag_is_what_its_text_looks_like(text, value):
    found = situation_of({"flag.x": text}).context.flags["x"]

    assert (found, type(found)) == (value, type(value))


def test_a_label_takes_the_place_of_the_one_of_its_name():
    base = Situation(context=Context(labels={"ring": "canary", "region": "eu"}))

    assert situation_of({"label.ring": "beta"}, base).context.labels == {"ring": "beta", "region": "eu"}


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
        ("battery_percent", "100.1", "expected a number from 0 to 100"),
        ("battery_percent", "-0.1", "expected a number from 0 to 100"),
        ("idle_s", "inf", "expected a number from 0"),
        ("power", "battery:low", "expected a number"),
        ("power", "sun", "expected mains or battery"),
        ("power", 15, "expected mains or battery"),
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
