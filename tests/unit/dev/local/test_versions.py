"""Every change of a developer's file is another version, whose name says that nobody has signed it."""

import pytest

from edged.dev.local.versions import FIRST, is_local_of, local_version, newest, next_number, number_of
from edged.ids import Version


def versions(*texts):
    return [Version.parse(text) for text in texts]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("1.2.3", "1.2.3-local.4"),
        ("1.2.3-rc.1", "1.2.3-rc.1.local.4"),
        ("1.2.3+build.7", "1.2.3-local.4"),
        (str(FIRST), "0.1.0-local.4"),
    ],
)
def test_a_local_version_says_so_and_can_be_read_back(base, expected):
    version = local_version(Version.parse(base), 4)

    assert str(version) == expected
    assert number_of(Version.parse(expected)) == 4


@pytest.mark.parametrize("text", ["1.0.0", "1.0.0-local", "1.0.0-local.x", "1.0.0-rc.1", "1.0.0+local.1"])
def test_a_version_of_somebody_else_has_no_number(text):
    assert number_of(Version.parse(text)) is None


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("1.0.0-local.3", "1.0.0", True),
        ("1.0.0-local.3", "1.0.0+build.7", True),
        ("1.0.0-local.3", "2.0.0", False),
        ("1.0.0-rc.1.local.3", "1.0.0", False),
        ("1.0.0", "1.0.0", False),
    ],
)
def test_a_local_version_is_known_by_what_it_is_a_version_of(text, base, expected):
    assert is_local_of(*versions(text, base)) is expected


def test_a_later_one_is_newer_whatever_it_is_a_version_of():
    found = versions("2.0.0-local.1", "0.1.0-local.10", "0.1.0-local.9", "3.0.0")

    assert str(newest(found)) == "0.1.0-local.10"
    assert next_number(found) == 11


def test_the_first_one_is_number_one():
    assert newest(versions("1.0.0")) is None
    assert next_number(versions("1.0.0")) == 1


def test_a_later_one_of_the_same_base_is_the_higher_version():
    """A review of a refused version is over when a higher one is good."""
    assert local_version(FIRST, 10) > local_version(FIRST, 9)
