"""What is wider than a terminal goes on below its own column; what fits, and what goes to a program, is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.cli.folding import fitted, folded

LINE = "  no  packaged  low-battery  power is mains (not battery), battery_percent is 100 (not < 15)\n"


def test_a_long_cell_goes_on_below_its_column():
    assert folded(LINE, 60).splitlines() == [
        "  no  packaged  low-battery  power is mains (not battery),",
        "                             battery_percent is 100 (not <",
        "                             15)",
    ]


def test_a_long_cell_behind_too_many_columns_goes_on_below_an_earlier_one():
    assert folded(LINE, 40).splitlines()[1].startswith(" " * 16 + "mains")


def test_a_long_sentence_goes_on_with_an_indent():
    assert folded("  one two three four five\n", 16).splitlines() == ["  one two three", "      four five"]


@given(st.lists(st.text("ab  ", max_size=60)).map(lambda lines: "".join(f"{line.rstrip()}\n" for line in lines)))
def test_folding_loses_no_word_and_leaves_alone_what_fits(page):
    assert folded(page, 30).split() == page.split()
    assert folded(page, 60) == page


@pytest.mark.parametrize(("is_terminal", "lines"), [(True, 3), (False, 1)])
def test_only_a_terminal_gets_folded_pages(monkeypatch, is_terminal, lines):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)

    assert fitted(LINE).count("\n") == lines
