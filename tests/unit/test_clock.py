"""The wall clock to judge expiry by is the latest of what can be known."""

import pytest

from edged.clock import read_boot_id, trusted_unix_s


@pytest.mark.parametrize(
    ("system_s", "built_s", "signed_s", "expected"),
    [
        pytest.param(300.0, 100.0, 200.0, 300.0, id="a clock that is right"),
        pytest.param(0.0, 100.0, 0.0, 100.0, id="woken up in 1970"),
        pytest.param(0.0, 100.0, 200.0, 200.0, id="woken up in 1970, after a signed time was seen"),
    ],
)
def test_trusted_time(system_s, built_s, signed_s, expected):
    assert trusted_unix_s(system_s=system_s, built_s=built_s, signed_s=signed_s) == expected


def test_a_start_of_the_machine_has_one_id():
    """As long as it runs; it is written as a UUID is (random(4))."""
    assert read_boot_id() == read_boot_id()
    assert len(read_boot_id()) == 36
