"""Merging with a queue gives what the definition gives: again and again the earliest pair, the leftmost among equals."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.tokenizers.bpe import merged


@st.composite
def trained(draw):
    """Merges as training makes them: each pair of known symbols once, and each becomes a new symbol."""
    merges = {}
    for new in range(6, 6 + draw(st.integers(0, 12))):
        pair = draw(st.tuples(st.integers(0, new - 1), st.integers(0, new - 1)))
        merges.setdefault(pair, (len(merges), new))
    return merges


def by_definition(symbols, merges):
    while True:
        known = [(merges[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in merges]
        if not known:
            return symbols
        (_, new), at = min(known)
        symbols = [*symbols[:at], new, *symbols[at + 2 :]]


@given(symbols=st.lists(st.integers(0, 5), max_size=40), merges=trained())
def test_a_word_is_merged_as_defined(symbols, merges):
    assert merged(list(symbols), merges) == by_definition(symbols, merges)


@given(symbols=st.lists(st.integers(0, 1), max_size=60))
def test_a_run_of_equals_is_merged_from_the_left(symbols):
    """Pairs that overlap are what a queue gets wrong most easily."""
    merges = {(0, 0): (0, 2), (2, 2): (1, 3), (1, 1): (2, 4), (0, 1): (3, 5)}

    assert merged(list(symbols), merges) == by_definition(symbols, merges)


def test_a_word_as_long_as_a_text_is_merged():
    """A step that took the square of its length would not come back from this."""
    merges = {(0, 0): (0, 1), (1, 1): (1, 2), (2, 2): (2, 3)}

    assert merged([0] * 100_003, merges) == [3] * 12_500 + [1, 0]
