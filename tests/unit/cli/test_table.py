"""Columns line up, and text from outside cannot drive a terminal."""

from edged.cli.table import align, printable


def test_columns_line_up_and_the_last_is_not_padded():
    assert align([("a", "bb", "c"), ("aaa", "b", "ccc")], indent="  ") == "  a    bb  c\n  aaa  b   ccc\n"


def test_rows_may_have_different_lengths():
    assert align([("a",), ("aaa", "b")]) == "a\naaa  b\n"


def test_nothing_is_nothing():
    assert align([]) == ""


def test_what_is_not_printable_becomes_an_escape():
    assert printable("caf\u00e9\x1b[2J\n") == "caf\u00e9\\x1b[2J\\n"
