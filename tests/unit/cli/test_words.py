"""Times, spans and sizes as people read them."""

import pytest

from edged.cli.words import ago, duration, joules_text, size

NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 s"), (0.4, "0 s"), (59, "59 s"), (3661, "1 h 1 min"), (86400, "1 d"), (86460, "1 d")]
)
def test_durations_have_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_200_000, "3.2 MB"), (5e9, "5.0 GB")]
)
def test_sizes_are_decimal(count, text):
    assert size(count) == text


def test_a_clock_that_was_set_back_shows_the_moment_itself():
    assert ago(NOW_S - 61, NOW_S) == "1 min 1 s ago"
    assert ago(NOW_S, NOW_S - 1e6) == "2027-01-15 08:00 UTC"


def test_energies_have_the_unit_that_fits():
    assert [joules_text(joules) for joules in (0.0123, 12.34, 36_000.0)] == ["12.30 mJ", "12.3 J", "10.00 Wh"]
