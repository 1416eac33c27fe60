"""Which word was meant."""

from edged.nearest import nearest


def test_typing_error_finds_its_word():
    assert nearest("thremal", ("power", "thermal", "link")) == "thermal"


def test_word_that_is_like_none_finds_none():
    assert nearest("x", ("power", "thermal")) is None
    assert nearest("power", ()) is None
