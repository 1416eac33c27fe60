"""Spans of a day, and times on a clock."""

import pytest

from edged.hours import clock_text, is_within, parse_minute, parse_span


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [
        ("12:30-13:30", ["12:30", "13:29"], ["12:29", "13:30", "00:00"]),
        ("22:00-05:00", ["22:00", "23:59", "00:00", "04:59"], ["05:00", "21:59"]),
        ("00:00-00:00", ["00:00", "12:00", "23:59"], []),
        ("06:00-06:00", ["05:59", "06:00"], []),
    ],
)
def test_a_span_has_its_beginning_and_not_its_end(span, inside, outside):
    assert all(is_within(parse_span(span), parse_minute(text)) for text in inside)
    assert not any(is_within(parse_span(span), parse_minute(text)) for text in outside)


@pytest.mark.parametrize(
    "text", ["", "22:00", "24:00-05:00", "22:60-05:00", "9:00-10:00", "22:00-05:00\n", "1\u0662:00-05:00"]
)
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError, match="expected hours"):
        parse_span(text)


@pytest.mark.parametrize("text", ["", "9:00", "24:00", "12:60", "12:00\n", "noon"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="expected a time"):
        parse_minute(text)


def test_times_are_written_as_they_are_read():
    assert [clock_text(parse_minute(text)) for text in ("00:00", "09:05", "23:59")] == ["00:00", "09:05", "23:59"]
