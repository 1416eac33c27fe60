"""Characters are the same on every Python, and newer ones than a rule knows are left alone by it."""

import re
import unicodedata
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.tokenizers.ages import NEW_IN_10_TO_12, UNICODE_8, UNICODE_9, UNICODE_12, UNICODE_14
from edged.pipeline.tokenizers.unicode import WHITE_SPACE, characters, inside, lower, normalize_12, normalize_14

FORMS = ("NFC", "NFD", "NFKC", "NFKD")
OF_14 = [chr(point) for first, last in UNICODE_14 for point in range(first, last + 1)]
ASSIGNED = f"[{inside(UNICODE_14)}]"
# Kaktovik numerals and a Cyrillic mark came with 15.0, a Latin letter with a lower case with 16.0; U+0378 has not come yet.
NEWER = "\U0001d2c0\U0001e08f\ua7da\u0378"


def sizes(ranges):
    return sum(last - first + 1 for first, last in ranges)


def test_each_version_has_as_many_characters_as_the_standard_says():
    """With the control codes and the private ones, which the standard's own counts leave out: 65 + 137,468."""
    published = {8: 120_672, 9: 128_172, 12: 137_928, 14: 144_697}

    counts = {8: sizes(UNICODE_8), 9: sizes(UNICODE_9), 12: sizes(UNICODE_12), 14: sizes(UNICODE_14)}

    assert counts == {version: count + 65 + 137_468 for version, count in published.items()}
    assert sizes(NEW_IN_10_TO_12) == published[12] - published[9]


@pytest.mark.skipif(
    unicodedata.unidata_version != "14.0.0", reason="needs an interpreter with Unicode 14 (Python 3.11)"
)
def test_the_characters_of_unicode_14_are_those_of_an_interpreter_that_has_it():
    everything = map(chr, range(0x110000))

    assert [c for c in everything if unicodedata.category(c) not in {"Cn", "Cs"}] == OF_14


def test_interpreters_agree_about_the_characters_of_unicode_14():
    """Answers never depend on the version of Python; should a new one disagree, this is where it is found."""
    known = "\n".join(
        "\t".join((c, unicodedata.category(c), *(unicodedata.normalize(form, c) for form in FORMS), lower(c)))
        for c in OF_14
    )
    classes = "\n".join(str(unicodedata.combining(c)) for c in OF_14)

    found = sha256(f"{known}\n{classes}".encode()).hexdigest()
    assert found == "f3d57804cc50461963a2901dad15b0bdca721fab22010d2682696068dd871f50"


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.sampled_from("aAe\u0301\u0327\u1100\u1161\ufb01\u03a3" + NEWER)))
def test_newer_characters_stay_and_the_rest_is_normalized_as_if_they_were_letters(form, text):
    """On an interpreter that does not know them itself, that is what its own method does."""
    for normalize in (normalize_12, normalize_14):
        parts = re.split(f"([{NEWER}])", text)
        assert normalize(form, text) == "".join(
            part if part in NEWER else unicodedata.normalize(form, part) for part in parts
        )


@pytest.mark.parametrize("form", FORMS)
@given(text=st.text(st.sampled_from(OF_14)))
def test_characters_of_unicode_14_are_normalized_as_python_does(form, text):
    assert normalize_14(form, text) == unicodedata.normalize(form, text)


@given(st.text(st.sampled_from("aA\u03a3\u03c2\u0130\u00df\u01c5." + NEWER)))
def test_lower_case_is_of_each_character_by_itself(text):
    assert lower(text) == "".join(c if c in NEWER else c.lower() for c in text)


def test_a_sigma_at_the_end_of_a_word_is_a_sigma():
    """Python's own method writes another letter there, which was in no tokenizer's training."""
    assert lower("\u0391\u03a3 \u03a3") == "\u03b1\u03c3 \u03c3"


def test_a_class_has_the_characters_of_its_categories_only():
    letters = re.compile(f"[{characters('Lu', 'N')}]")

    assert [c for c in OF_14 if letters.match(c)] == [
        c for c in OF_14 if unicodedata.category(c) in {"Lu", "Nd", "Nl", "No"}
    ]
    assert not letters.search(NEWER)


def test_a_class_among_older_characters_has_no_newer_ones():
    """U+1F979 came with Unicode 14."""
    assert re.match(f"[{characters('So')}]", "\U0001f979")
    assert not re.match(f"[{characters('So', among=UNICODE_12)}]", "\U0001f979")


def test_white_space_is_what_the_standard_calls_so():
    """Python counts four separators among the controls, too."""
    found = {c for c in OF_14 if re.match(f"[{WHITE_SPACE}]", c)}

    assert found == {c for c in OF_14 if c.isspace()} - set("\x1c\x1d\x1e\x1f")
    assert re.fullmatch(ASSIGNED + "{25}", "".join(sorted(found)))
