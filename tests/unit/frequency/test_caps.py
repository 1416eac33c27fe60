"""Which limits a wish comes to, and what is known of who set what is shown."""

from dataclasses import replace

import pytest

from edged.frequency.caps import Capped, Processors, choose_caps, is_doubtful, is_held_back, is_somebodys
from edged.frequency.wish import LEAST_SHARE

BIG = Processors(name="policy0", least=600_000, most=2_400_000, limit=2_400_000)


def limited(processors, limit):
    return replace(processors, limit=limit)


def test_a_share_is_of_what_the_hardware_can_do():
    outcome = choose_caps([BIG], 0.5, {})

    assert outcome.limits == {"policy0": 1_200_000}
    assert outcome.known == {"policy0": Capped(before=2_400_000, after=1_200_000, shown=2_400_000)}


def test_no_cap_is_below_what_the_hardware_can_do_at_least():
    assert choose_caps([BIG], LEAST_SHARE, {}).limits == {"policy0": 600_000}


def test_an_administrators_own_cap_stays_the_highest_there_is():
    own = limited(BIG, 1_000_000)

    assert choose_caps([own], 0.5, {}).limits == {}
    assert choose_caps([own], 0.3, {}).known == {
        "policy0": Capped(before=1_000_000, after=720_000, shown=1_000_000),
    }


def test_without_a_wish_what_was_before_comes_back():
    known = {"policy0": Capped(before=2_000_000, after=1_300_000, shown=1_200_000)}
    outcome = choose_caps([limited(BIG, 1_200_000)], 1.0, known)

    assert outcome.limits == {"policy0": 2_000_000}
    assert outcome.known == {"policy0": Capped(before=2_000_000, after=2_000_000, shown=1_200_000)}


def test_what_is_known_of_processors_that_are_not_there_now_stays_known():
    known = {"policy4": Capped(before=2_000_000, after=1_300_000, shown=1_200_000)}

    assert choose_caps([BIG], 1.0, known).known["policy4"] == known["policy4"]


@pytest.mark.parametrize(
    ("shown", "doubtful", "somebodys"),
    [
        (1_200_000, False, False),  # as it was left
        (600_000, True, False),  # held back, or set
        (1_440_000, True, False),  # a hold is over, or set
        (1_800_000, False, True),  # nobody but a person raises a limit
    ],
)
def test_only_what_is_above_what_was_written_is_certainly_somebodys(shown, doubtful, somebodys):
    done = Capped(before=2_400_000, after=1_440_000, shown=1_200_000)

    assert is_doubtful(limited(BIG, shown), done) is doubtful
    assert is_somebodys(limited(BIG, shown), done) is somebodys


def test_a_limit_that_was_remembered_and_not_written_is_nobodys():
    """The process was ended between the two: the kernel shows what it showed before, above what was to be written."""
    done = Capped(before=2_400_000, after=1_440_000, shown=2_400_000)

    assert not is_doubtful(BIG, done)
    assert not is_somebodys(BIG, done)


@pytest.mark.parametrize(
    ("shown", "is_cooled", "firmware_limit", "is_held"),
    [
        (1_200_000, False, None, False),  # an administrator's
        (1_200_000, True, None, True),  # either
        (2_400_000, True, None, False),  # whatever is cooled, nothing is hidden behind the highest
        (1_200_000, False, 1_200_000, True),  # either
        (600_000, False, 1_200_000, False),  # below what firmware allows
        (1_800_000, False, 1_200_000, True),  # firmware has just changed its mind
    ],
)
def test_what_is_shown_may_be_the_kernels_or_firmwares_only_where_they_could_show_it(
    shown, is_cooled, firmware_limit, is_held
):
    processors = replace(BIG, limit=shown, is_cooled=is_cooled, firmware_limit=firmware_limit)

    assert is_held_back(processors) is is_held


def test_processors_that_are_held_back_at_the_first_look_are_left_alone():
    cooled = replace(BIG, limit=1_200_000, is_cooled=True)
    outcome = choose_caps([cooled], 0.3, {})

    assert (outcome.limits, outcome.known, outcome.held_back) == ({}, {}, ["policy0"])


def test_processors_whose_limit_is_known_are_capped_although_they_are_held_back():
    cooled = replace(BIG, limit=1_200_000, is_cooled=True)
    known = {"policy0": Capped(before=2_400_000, after=2_400_000, shown=2_400_000)}

    assert choose_caps([cooled], 0.3, known).limits == {"policy0": 720_000}
