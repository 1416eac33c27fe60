"""Which limits a wish comes to, and that every one of them is taken back."""

from hypothesis import given
from hypothesis import strategies as st

from edged.frequency.caps import Capped, Processors, choose_caps
from edged.frequency.wish import LEAST_SHARE

BIG = Processors(name="policy0", least=600_000, most=2_400_000, limit=2_400_000)


def limited(processors, limit):
    return Processors(name=processors.name, least=processors.least, most=processors.most, limit=limit)


def test_a_share_is_of_what_the_hardware_can_do():
    outcome = choose_caps([BIG], 0.5, {})

    assert outcome.limits == {"policy0": 1_200_000}
    assert outcome.capped == {"policy0": Capped(before=2_400_000, after=1_200_000)}


def test_no_cap_is_below_what_the_hardware_can_do_at_least():
    assert choose_caps([BIG], LEAST_SHARE, {}).limits == {"policy0": 600_000}


def test_an_administrators_own_cap_stays_the_highest_there_is():
    own = limited(BIG, 1_000_000)

    assert choose_caps([own], 0.5, {}).limits == {}
    assert choose_caps([own], 0.3, {}).capped == {"policy0": Capped(before=1_000_000, after=720_000)}


def test_without_a_wish_what_was_before_comes_back():
    known = {"policy0": Capped(before=2_000_000, after=1_200_000)}
    outcome = choose_caps([limited(BIG, 1_200_000)], 1.0, known)

    assert outcome.limits == {"policy0": 2_000_000}
    assert outcome.capped == {}


def test_what_somebody_set_meanwhile_stays():
    known = {"policy0": Capped(before=2_400_000, after=1_200_000)}

    assert choose_caps([limited(BIG, 900_000)], 1.0, known).limits == {}


@given(st.lists(st.floats(LEAST_SHARE, 1.0), max_size=8), st.integers(600_000, 2_400_000))
def test_after_any_wishes_an_undo_restores_the_first_limit(shares, first):
    processors, known = limited(BIG, first), {}
    for share in [*shares, 1.0]:
        outcome = choose_caps([processors], share, known)
        processors = limited(processors, outcome.limits.get("policy0", processors.limit))
        known = outcome.capped

        assert processors.least <= processors.limit <= first

    assert processors.limit == first
    assert known == {}
