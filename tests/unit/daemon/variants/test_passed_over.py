"""What has been passed over for an hour: while others of its version ran, and not for ever."""

import pytest

from edged.daemon.variants.passed_over import PassedOver
from edged.ids import Digest

VERSION, OTHER = Digest("a" * 64), Digest("b" * 64)
FP32, INT8, FP16 = ((VERSION, precision) for precision in ("fp32", "int8", "fp16"))
LANE = (OTHER, "fp32")
KNOWN = [FP32, INT8, FP16, LANE]
HOUR_S = 3600.0
BEGIN_S = 500.0


@pytest.fixture
def passed_over():
    return PassedOver()


def look(passed_over, after_s, *ran, known=KNOWN):
    return passed_over.look(ran, known, now_s=BEGIN_S + after_s)


def test_it_is_an_hour_in_which_others_of_its_version_run(passed_over):
    assert look(passed_over, 0.0, INT8) == []
    assert look(passed_over, HOUR_S - 1, INT8) == []
    assert look(passed_over, HOUR_S, INT8) == [FP32, FP16]


def test_the_hour_begins_anew_for_what_was_forgotten(passed_over):
    for after_s in (0.0, HOUR_S):
        look(passed_over, after_s, INT8)

    assert look(passed_over, HOUR_S + 5, INT8) == []
    assert look(passed_over, 2 * HOUR_S, INT8) == []
    assert look(passed_over, 2 * HOUR_S + 5, INT8) == [FP32, FP16]


def test_the_hour_begins_anew_for_what_ran_in_between(passed_over):
    look(passed_over, 0.0, INT8)
    look(passed_over, HOUR_S / 2, INT8, FP32)

    assert look(passed_over, HOUR_S, INT8) == [FP16]
    assert look(passed_over, 2 * HOUR_S, INT8) == [FP32]


def test_while_nothing_of_its_version_runs_nothing_is_passed_over(passed_over):
    """What counts is that something else was chosen, which a look at which nothing ran does not tell."""
    look(passed_over, 0.0, INT8)

    assert look(passed_over, HOUR_S) == []
    assert look(passed_over, HOUR_S, LANE) == []
    assert look(passed_over, HOUR_S + 5, INT8) == [FP32, FP16]


def test_what_is_not_known_any_more_is_not_remembered_either(passed_over):
    look(passed_over, 0.0, INT8)
    look(passed_over, 10.0, INT8, known=[INT8])

    assert look(passed_over, HOUR_S, INT8) == []
