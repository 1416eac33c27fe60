"""Conditions: what holds, what does not, what is said about it, and what cannot be asked."""

import pytest

from edged.policy.conditions import compile_condition
from edged.policy.given import situation_of


def asked(name, condition, **given):
    """Return whether a condition holds in a situation, and what is said."""
    situation = situation_of({key.replace("__", "."): value for key, value in given.items()})
    compiled = compile_condition(name, condition)
    return compiled.holds(situation.context, situation.ask), compiled.says(situation.context, situation.ask)


@pytest.mark.parametrize(
    ("condition", "levels"),
    [
        ("serious", {"serious"}),
        (">= serious", {"serious", "critical"}),
        ("> serious", {"critical"}),
        ("<fair", {"nominal"}),
        ("<= fair", {"nominal", "fair"}),
        (("nominal", "critical"), {"nominal", "critical"}),
    ],
)
def test_levels_are_compared_by_their_order(condition, levels):
    found = {
        level for level in ("nominal", "fair", "serious", "critical") if asked("thermal", condition, thermal=level)[0]
    }

    assert found == levels


@pytest.mark.parametrize(
    ("condition", "holds"),
    [("< 15", False), ("<= 15", True), ("> 15", False), (">= 15", True), (15, True), (15.5, False), ("< 1.6e1", True)],
)
def test_numbers_are_compared(condition, holds):
    assert asked("battery_percent", condition, battery_percent=15)[0] is holds


def test_a_word_is_one_of_those_asked_for():
    assert asked("link", ("wifi", "ethernet"), link="wifi") == (True, "link is wifi (wifi or ethernet)")
    assert asked("link", ("wifi", "ethernet"), link="cellular")[0] is False


def test_a_set_has_any_of_those_asked_for():
    assert asked("accelerators", "gpu", accelerators="cpu,gpu") == (True, "accelerators is cpu and gpu (gpu)")
    assert asked("accelerators", ("gpu", "npu"), accelerators="cpu") == (
        False,
        "accelerators is cpu (not gpu or npu)",
    )


@pytest.mark.parametrize(
    ("time", "holds"), [("22:00", True), ("23:59", True), ("04:59", True), ("05:00", False), ("21:59", False)]
)
def test_hours_go_over_midnight_and_end_before_their_end(time, holds):
    assert asked("hours", "22:00-05:00", hours=time)[0] is holds


def test_any_of_several_spans_will_do_from_its_beginning_to_before_its_end():
    spans = ("22:00-05:00", "12:30-13:30")

    found = [asked("hours", spans, hours=time)[0] for time in ("12:29", "12:30", "13:29", "13:30")]

    assert found == [False, True, True, False]


def test_hours_that_end_where_they_begin_are_all_of_the_day():
    assert asked("hours", "06:00-06:00", hours="05:59")[0] is True


@pytest.mark.parametrize("condition", ["serious", "< serious", ">= nominal", ("nominal", "critical")])
def test_nothing_holds_of_what_is_not_known(condition):
    """Also not that it is cool: a device that does not know how hot it is must not be taken for a cold one."""
    assert asked("thermal", condition, thermal="unknown") == (False, "thermal is not known: it was given as unknown")


def test_that_something_is_not_known_can_be_asked():
    assert asked("metered", "unknown", metered="unknown") == (True, "metered is not known: it was given as unknown")
    assert asked("metered", "unknown", metered=True) == (False, "metered is true (not unknown)")


def test_what_is_said_names_value_and_condition():
    assert asked("thermal", ">= serious", thermal="critical") == (True, "thermal is critical (>= serious)")
    assert asked("thermal", ">= serious", thermal="fair") == (False, "thermal is fair (not >= serious)")
    assert asked("power", "battery", power="battery") == (True, "power is battery")
    assert asked("power", ("battery",), power="battery") == (True, "power is battery")
    assert asked("throttled", True, throttled=True) == (True, "throttled is true")  # noqa: FBT003
    assert asked("battery_percent", 15, battery_percent=15) == (True, "battery_percent is 15 (15)")
    assert asked("battery_percent", "< 15", battery_percent=14.25) == (True, "battery_percent is 14.25 (< 15)")
    assert asked("hours", "22:00-05:00", hours="12:05") == (False, "hours is 12:05 (not 22:00-05:00)")


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        (True, True, True),
        (True, 1, False),
        (1, True, False),
        (2, 2, True),
        (2, 3, False),
        (0, False, False),
        ("> 1", 2, True),
        ("> 1", 1, False),
        ("> 0", True, False),
        ("> 1", "2x", False),
        ("blue", "blue", True),
        ("blue", "red", False),
        (("blue", "green"), "green", True),
        ("> zero", "> zero", True),
    ],
)
def test_a_flag_is_compared_as_what_it_is_on_this_device(condition, value, holds):
    assert asked("flag.colour", condition, flag__colour=value)[0] is holds


def test_a_flag_that_is_not_in_force_is_not_known():
    assert asked("flag.beta", True) == (False, "flag.beta is not known: no such flag is in force here")  # noqa: FBT003
    assert asked("flag.beta", "unknown")[0] is True


def test_a_label_is_a_word():
    assert asked("label.region", ("eu", "us"), label__region="eu")[0] is True
    assert asked("label.region", "eu")[1] == "label.region is not known: this device has no such label"


def test_what_is_asked_of_the_request_counts():
    assert asked("request", "background", request="background")[0] is True
    assert asked("model", ("gauge", "lane"), model="lane")[0] is True
    assert asked("consent", True, consent=True)[0] is True  # noqa: FBT003
    assert asked("accuracy", "degraded", accuracy="degraded")[0] is True


@pytest.mark.parametrize(
    ("name", "condition", "words"),
    [
        ("thermals", "serious", "did you mean thermal?"),
        ("flag.", True, "the name of a quantity"),
        ("label.", "eu", "the name of a quantity"),
        ("accuracy", "degradd", "did you mean degraded?"),
        ("thermal", "hot", "nominal, fair, serious or critical"),
        ("thermal", ">= seriuos", "did you mean serious?"),
        ("thermal", 2, "nominal, fair, serious or critical"),
        ("thermal", True, "nominal, fair, serious or critical"),
        ("thermal", (), "at least one of nominal, fair, serious, critical"),
        ("battery_percent", "ok", '"< 15"'),
        ("idle_s", "ok", "expected a number (unit: s), a comparison"),
        ("headroom", "ok", "expected a number, a comparison"),
        ("battery_percent", "< ", '"< 15"'),
        ("battery_percent", "< nan", '"< 15"'),
        ("battery_percent", "< 1e400", '"< 15"'),
        ("battery_percent", "< 1\u0665", '"< 15"'),
        ("battery_percent", 10**400, '"< 15"'),
        ("flag.level", 10**400, "a finite number"),
        ("battery_percent", True, "expected a number"),
        ("battery_percent", float("nan"), "expected a number"),
        ("battery_percent", ("< 15", "> 80"), "expected a number"),
        ("throttled", "true", "expected true, false"),
        ("throttled", 1, "expected true, false"),
        ("link", "wi-fi", "did you mean wifi?"),
        ("link", True, 'a word in quotes, a list of words, or "unknown"'),
        ("link", (), "a word in quotes"),
        ("link", ("wifi", "unknown"), "offline, ethernet, wifi, cellular or other"),
        ("hours", "22-5", "22:00-05:00"),
        ("hours", "24:00-05:00", "22:00-05:00"),
        ("hours", 22, "spans of hours"),
        ("hours", (), "spans of hours"),
        ("flag.x", float("inf"), "a finite number"),
        ("flag.x", "> 1e400", "a finite number"),
        ("flag.x", (), "a list of words"),
        ("consent", "unknown", "consent is always known"),
        ("model", "unknown", "model is always known"),
        ("request", "unknown", "request is always known"),
        ("regulatory", "unknown", "regulatory is always known"),
        ("accelerators", "unknown", "accelerators is always known"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_can(name, condition, words):
    with pytest.raises(ValueError, match="expected") as caught:
        compile_condition(name, condition)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"), [("consent", "true or false"), ("model", "a word in quotes, or a list of words")]
)
def test_unknown_is_no_advice_for_what_is_always_known(name, expected):
    with pytest.raises(ValueError, match=f"^expected {expected}$"):
        compile_condition(name, 5)


@pytest.mark.parametrize(("name", "condition"), [("thermal", "zzz"), ("link", "zzz"), ("zzz", "zzz")])
def test_where_nothing_is_like_it_nothing_is_guessed(name, condition):
    with pytest.raises(ValueError, match=r"expected|known") as caught:
        compile_condition(name, condition)

    assert "did you mean" not in str(caught.value)
