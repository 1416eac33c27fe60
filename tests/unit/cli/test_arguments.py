"""Values of options are read, or refused with what they are not."""

import argparse
import socket

import pytest

from edged.cli.arguments import seconds, span, whole_number

count = whole_number(least=1, most=365)
week = span(most_s=7 * 86400.0)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("007", 7), ("365", 365)])
def test_whole_numbers_are_read(text, number):
    assert count(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "366", "1000000000000", "-1", "+1", "1.0", " 1", "1_0", "²", "٣", "nan", "x"]
)
def test_what_is_no_whole_number_within_the_limits_is_refused_with_them(text):
    with pytest.raises(argparse.ArgumentTypeError, match="no whole number from 1 to 365"):
        count(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0.0), ("1.5", 1.5), ("1e3", 1000.0)])
def test_seconds_are_read(text, number):
    assert seconds(text) == number


def test_the_most_seconds_are_fewer_than_a_socket_takes():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds("1e9"))


@pytest.mark.parametrize("text", ["", "-1", "inf", "nan", "1e12", "5s", "x"])
def test_what_is_no_number_of_seconds_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="no number of seconds"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "number"), [("90s", 90.0), ("0.5m", 30.0), ("30min", 1800.0), ("2h", 7200.0), ("7d", 604800.0)]
)
def test_spans_are_read(text, number):
    assert week(text) == number


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "1w", "1h30m", "1H", "٣h", "x"])
def test_what_is_no_span_is_refused_with_examples(text):
    with pytest.raises(argparse.ArgumentTypeError, match="such as 90s, 30m, 2h or 1d"):
        week(text)


@pytest.mark.parametrize(
    ("text", "why"), [("0h", "no time at all"), ("169h", "longer than 7d"), (f"{'9' * 400}d", "longer than 7d")]
)
def test_a_span_beyond_its_limits_is_refused_with_the_limit(text, why):
    with pytest.raises(argparse.ArgumentTypeError, match=why):
        week(text)
