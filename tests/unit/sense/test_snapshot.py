"""Numbers as attributes have them, and what is none."""

import pytest

from edged.sense.snapshot import number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-274000", -274000),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", None),
        ("9" * 400, None),
        ("-" + "9" * 400, None),
        ("", None),
        (None, None),
        ("N/A", None),
        ("1.5", None),
        ("\x00", None),
    ],
)
def test_a_number_is_one_that_the_kernel_can_have(text, number):
    """One that is larger than any float would keep a whole look from being understood."""
    assert number_of(text) == number


def test_numbers_may_be_hexadecimal():
    assert number_of("0x50005", base=16) == number_of("50005", base=16) == 0x50005
