import pytest

from edged.errors import NothingToDoError, UsageError
from edged.ops.flags import Flag, FlagRule, Flags, evaluate
from edged.ops.segments import Device, Segment
from edged.publish.fleet.flags import check_name, parse_value, set_flag, unset_flag

EU, ARM = (Segment(labels={"region": ("eu",)}),), (Segment(arch=("arm64",)),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("true", True), ("false", False), ("3", 3), ("-3", -3), ("3.5", 3.5), ("1e-3", 0.001)],
        *[("True", "True"), ("", ""), ("1.2.0", "1.2.0"), ("nan", "nan"), ("inf", "inf"), ("9" * 20, 1e20)],
    ],
)
def test_words_become_values(text, value):
    found = parse_value(text)

    assert (type(found), found) == (type(value), value)


def test_a_rule_for_the_same_part_of_the_fleet_is_replaced():
    flags = set_flag({}, "x", value=True, segments=EU, percent=10)
    flags = set_flag(flags, "x", value=True, segments=ARM)
    flags = set_flag(flags, "x", value=True, segments=EU, percent=50)

    assert flags["x"].rules == (
        FlagRule(value=True, segments=EU, percent=50),
        FlagRule(value=True, segments=ARM),
    )


def test_parts_of_the_fleet_come_before_a_share_of_everybody():
    """The first rule that fits counts, so the share would hide what comes after it."""
    flags = set_flag({}, "x", value="some", percent=99)
    flags = set_flag(flags, "x", value="eu", segments=EU)

    assert [rule.value for rule in flags["x"].rules] == ["eu", "some"]
    document = Flags(schema=1, issued="2026-11-22T10:00:00Z", flags=flags)
    assert evaluate(document, Device(id="1", arch="arm64", labels={"region": "eu"})) == {"x": "eu"}


def test_a_value_for_everybody_takes_the_place_of_a_share():
    flags = set_flag(set_flag({}, "x", value=True, percent=10), "x", value=False)

    assert flags["x"] == Flag(default=False)


def test_description_stays_until_another_is_given():
    flags = set_flag({}, "x", value=True, description="what for")

    assert set_flag(flags, "x", value=False)["x"].description == "what for"
    assert set_flag(flags, "x", value=False, description="")["x"].description == ""


def test_setting_what_is_set_changes_nothing():
    flags = set_flag({}, "x", value=True, segments=EU, percent=10)

    assert set_flag(flags, "x", value=True, segments=EU, percent=10) == flags


def test_a_flag_or_one_rule_is_forgotten():
    flags = set_flag(set_flag({}, "x", value=True), "x", value=False, segments=EU)

    assert unset_flag(flags, "x", segments=EU) == {"x": Flag(default=True)}
    assert unset_flag(flags, "x") == {}
    with pytest.raises(NothingToDoError, match="no flag 'y'"):
        unset_flag(flags, "y")
    with pytest.raises(NothingToDoError, match="no rule for exactly arch=arm64"):
        unset_flag(flags, "x", segments=ARM)


@pytest.mark.parametrize("name", ["", "X", "-x", "x y", "x\n"])
def test_names_that_no_flag_can_have(name):
    with pytest.raises(UsageError):
        check_name(name)
