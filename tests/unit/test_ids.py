import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ids import DIGEST_PATTERN, MODEL_NAME_PATTERN, Version


@pytest.mark.parametrize("text", ["0" * 64, "0123456789abcdef" * 4])
def test_digest_is_64_lower_case_hexadecimal_digits(text):
    assert re.search(DIGEST_PATTERN, text)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", " " + "0" * 63])
def test_other_texts_are_no_digest(text):
    assert not re.search(DIGEST_PATTERN, text)


@pytest.mark.parametrize("text", ["a", "magika", "silero-vad", "x.y_z-1", "0", "a" * 63])
def test_model_name_can_be_a_directory(text):
    assert re.search(MODEL_NAME_PATTERN, text)


@pytest.mark.parametrize("text", ["", ".", "..", ".hidden", "-x", "_x", "Upper", "a/b", "a b", "a" * 64, "a\n", "é"])
def test_other_texts_name_no_model(text):
    assert not re.search(MODEL_NAME_PATTERN, text)


# The chain of precedence that semver.org 2.0.0 gives in clause 11, with its neighbours.
ORDERED = [
    "0.0.1",
    "0.1.0",
    "1.0.0-1",
    "1.0.0-2",
    "1.0.0-10",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.1",
    "1.2.0",
    "1.10.0",
    "2.0.0",
]


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(ORDERED, 2)))
def test_versions_order_as_semver_says(lower, higher):
    assert Version.parse(lower) < Version.parse(higher)
    assert not Version.parse(higher) < Version.parse(lower)


@pytest.mark.parametrize("text", [*ORDERED, "1.0.0+build.5", "1.0.0-rc.1+20261122", "1.0.0--", "1.0.0-0a"])
def test_version_prints_as_it_was_read(text):
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.02.3",
        "v1.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3+",
        "1.2.3\n",
        "1.2.-3",
    ],
)
def test_other_texts_are_no_version(text):
    with pytest.raises(ValueError, match="not a semantic version"):
        Version.parse(text)


def test_build_metadata_does_not_take_part_in_order():
    """Clause 10: two versions that differ only in build metadata have the same precedence."""
    one, two = Version.parse("1.0.0+a"), Version.parse("1.0.0+b")

    assert not one < two
    assert not two < one


numbers = st.integers(min_value=0, max_value=10**20)


@given(numbers, numbers, numbers)
def test_any_three_numbers_are_a_version(major, minor, patch):
    version = Version.parse(f"{major}.{minor}.{patch}")

    assert (version.major, version.minor, version.patch) == (major, minor, patch)
    assert version < Version.parse(f"{major}.{minor}.{patch + 1}")
