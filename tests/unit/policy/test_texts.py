"""Values in words: as a person reads them, and as they stand in the document that has a mistake."""

import pytest

from edged.policy.quantities import quantity_of
from edged.policy.texts import said, written
from edged.sense.context import Level, PowerSource


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0.5, "0.5"),
        ("< 15", "'< 15'"),
        (("wifi", "ethernet"), "['wifi', 'ethernet']"),
        ([True, 1, ["a"]], "[true, 1, ['a']]"),
        ((), "[]"),
        ({"region": "eu", "beta": True}, "{ region = 'eu', beta = true }"),
        ({}, "{}"),
    ],
)
def test_a_value_that_is_quoted_stands_as_in_the_document(value, text):
    assert written(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("throttled", True, "true"),
        ("throttled", False, "false"),
        ("thermal", Level.SERIOUS, "serious"),
        ("thermal", ">= serious", ">= serious"),
        ("power", PowerSource.BATTERY, "battery"),
        ("hours", 5, "00:05"),
        ("accelerators", frozenset({"npu", "cpu"}), "cpu and npu"),
        ("accelerators", frozenset(), "nothing"),
        ("headroom", 0.123456789, "0.123457"),
        ("headroom", 0.5, "0.5"),
        ("memory_available_bytes", 1073741824, "1073741824"),
        ("flag.level", 3, "3"),
        ("flag.level", True, "true"),
    ],
)
def test_a_value_is_said_as_a_person_reads_it(name, value, text):
    assert said(quantity_of(name), value) == text
