"""Whatever the kernel rounds, holds back or refuses meanwhile, each limit is taken back and nobody else's is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.frequency.__main__ import follow, set_limits, undo
from edged.frequency.wish import LEAST_SHARE, WHOLE, Wish, write_wish
from tests.fakes.cpufreq import STEPS, MadeUpKernel

SHARES = st.floats(LEAST_SHARE, WHOLE)
LIMITS = st.integers(STEPS[0], STEPS[-1])


@pytest.fixture
def kernel():
    return MadeUpKernel("policy0", "policy4")


@pytest.fixture
def known(tmp_path):
    return tmp_path / "capped.json"


def test_a_cap_between_two_frequencies_of_the_hardware_is_taken_back(kernel, known):
    """The kernel shows 1200 MHz where 1440 were written."""
    assert set_limits(kernel, 0.6, known=known)
    assert kernel.shown() == 1_200_000

    assert undo(kernel, known=known)
    assert kernel.shown() == 2_400_000
    assert not known.exists()


def test_a_processor_that_the_kernel_holds_back_meanwhile_gets_back_what_was_before(kernel, known):
    set_limits(kernel, 0.6, known=known)
    kernel.hold("policy0", 600_000)
    undo(kernel, known=known)
    assert kernel.shown() == 600_000

    kernel.hold("policy0", 2_400_000)
    assert kernel.shown() == 2_400_000


def test_a_processor_that_the_kernel_held_back_before_the_cap_gets_back_what_was_before(kernel, known):
    set_limits(kernel, WHOLE, known=known)
    kernel.hold("policy0", 1_200_000)
    set_limits(kernel, 0.3, known=known)
    kernel.hold("policy0", 2_400_000)
    undo(kernel, known=known)

    assert kernel.shown() == 2_400_000


def test_a_cap_no_lower_than_what_the_kernel_holds_is_written_all_the_same(kernel, known):
    set_limits(kernel, WHOLE, known=known)
    kernel.hold("policy0", 1_200_000)
    set_limits(kernel, 0.5, known=known)
    kernel.hold("policy0", 2_400_000)

    assert kernel.shown() == 1_200_000


@pytest.mark.parametrize("theirs", [600_000, 1_800_000])
def test_what_somebody_sets_meanwhile_stays(kernel, known, theirs):
    """Lower or higher; and it is what later caps are below."""
    set_limits(kernel, 0.6, known=known)
    kernel.set_limit("policy0", theirs)
    set_limits(kernel, 0.8, known=known)
    assert kernel.shown() == min(theirs, 1_800_000)

    undo(kernel, known=known)
    assert kernel.shown() == theirs
    assert kernel.shown("policy4") == 2_400_000


def test_what_somebody_sets_while_nothing_is_capped_stays(kernel, known):
    set_limits(kernel, WHOLE, known=known)
    kernel.set_limit("policy0", 1_200_000)
    set_limits(kernel, 0.9, known=known)
    assert kernel.shown() == 1_200_000

    set_limits(kernel, WHOLE, known=known)
    assert kernel.shown() == 1_200_000


@pytest.mark.parametrize("own", [1_200_000, 2_400_000])
def test_a_processor_that_the_kernel_holds_back_at_the_first_look_is_capped_when_that_ends(kernel, known, own):
    """And an administrator's cap, which cannot be seen meanwhile, is neither exceeded then nor lost."""
    kernel.set_limit("policy0", own)
    kernel.hold("policy0", 600_000)
    assert set_limits(kernel, 0.75, known=known)
    kernel.hold("policy0", 2_400_000)
    assert kernel.shown() == own

    assert set_limits(kernel, 0.75, known=known)
    assert kernel.shown() == min(own, 1_800_000)
    undo(kernel, known=known)
    assert kernel.shown() == own


def test_a_processor_that_is_held_back_keeps_no_other_from_its_cap(kernel, known):
    kernel.hold("policy0", 600_000)
    set_limits(kernel, 0.75, known=known)

    assert kernel.shown("policy4") == 1_800_000


def test_an_undo_before_the_kernel_has_stopped_holding_back_leaves_what_was_set(kernel, known):
    kernel.hold("policy0", 600_000)
    set_limits(kernel, 0.3, known=known)
    assert undo(kernel, known=known)
    kernel.hold("policy0", 2_400_000)

    assert kernel.shown() == 2_400_000


def test_what_somebody_sets_higher_while_the_kernel_holds_back_is_not_lost(kernel, known):
    """It shows in part only: above what was written, and not above what the kernel allows."""
    set_limits(kernel, 0.3, known=known)
    kernel.hold("policy0", 1_200_000)
    kernel.set_limit("policy0", 1_800_000)
    set_limits(kernel, 0.5, known=known)
    kernel.hold("policy0", 2_400_000)
    assert kernel.shown() == 1_800_000

    set_limits(kernel, 0.5, known=known)
    assert kernel.shown() == 1_200_000
    undo(kernel, known=known)
    assert kernel.shown() == 1_800_000


def test_a_processor_that_refuses_is_told_and_asked_again(kernel, known):
    kernel.refusing = {"policy0"}
    assert not set_limits(kernel, 0.5, known=known)
    assert kernel.shown("policy4") == 1_200_000

    kernel.refusing = set()
    assert set_limits(kernel, 0.5, known=known)
    assert kernel.shown() == 1_200_000
    assert undo(kernel, known=known)
    assert kernel.shown() == 2_400_000


def test_an_undo_that_is_refused_can_be_asked_for_again(kernel, known):
    set_limits(kernel, 0.5, known=known)
    kernel.refusing = {"policy0"}
    assert not undo(kernel, known=known)
    kernel.refusing = set()

    assert undo(kernel, known=known)
    assert kernel.shown() == 2_400_000


def test_a_processor_that_comes_back_after_an_undo_is_undone_by_the_next(kernel, known):
    set_limits(kernel, 0.5, known=known)
    kernel.offline = {"policy4"}
    undo(kernel, known=known)
    kernel.offline = set()
    assert (kernel.shown(), kernel.shown("policy4")) == (2_400_000, 1_200_000)

    undo(kernel, known=known)
    assert kernel.shown("policy4") == 2_400_000


def test_a_wish_that_changes_while_it_is_carried_out_is_carried_out_too(known, tmp_path):
    """The path unit does not watch then."""
    wish = tmp_path / "frequency.json"

    class Slow(MadeUpKernel):
        def set_limit(self, name, limit):
            write_wish(wish, Wish(share=0.5))
            return super().set_limit(name, limit)

    kernel = Slow("policy0")
    write_wish(wish, Wish(share=0.75))

    assert follow(kernel, wish, known=known)
    assert kernel.shown() == 1_200_000


@given(st.lists(st.tuples(SHARES, LIMITS), max_size=8), LIMITS)
def test_after_any_wishes_and_holds_an_undo_restores_the_first_limit(tmp_path_factory, course, first):
    """Also where the first looks are at what the kernel holds back; and nothing is ever faster than the first limit."""
    kernel, known = MadeUpKernel("policy0"), tmp_path_factory.mktemp("known") / "capped.json"
    kernel.set_limit("policy0", first)
    first_shown = kernel.shown()
    for share, held in course:
        kernel.hold("policy0", held)
        set_limits(kernel, share, known=known)
        kernel.hold("policy0", STEPS[-1])
        assert kernel.shown() <= first_shown
        set_limits(kernel, share, known=known)
        assert kernel.shown() <= min(first_shown, max(STEPS[0], round(STEPS[-1] * share)))
    undo(kernel, known=known)

    assert kernel.shown() == first_shown
