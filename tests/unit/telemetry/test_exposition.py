"""The text format, read back with the parser of Prometheus' own Python library."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from edged.telemetry.exposition import CONTENT_TYPE, Exposition
from edged.telemetry.histogram import Histogram


def parsed(exposition):
    """Return the families by name."""
    return {family.name: family for family in text_string_to_metric_families(exposition.encode().decode())}


def samples(family):
    """Return (name, labels, value) of each sample."""
    return [(sample.name, sample.labels, sample.value) for sample in family.samples]


def test_text_is_what_the_format_says():
    """Line for line, as the format's documentation has it."""
    text = Exposition()
    text.counter("http_requests_total", "Requests.", [({"method": "post", "code": "200"}, 1027), ({}, 3)])
    text.gauge("temperature_celsius", "Now.", [({}, 21.5)])

    assert text.encode() == (
        b"# HELP http_requests_total Requests.\n"
        b"# TYPE http_requests_total counter\n"
        b'http_requests_total{method="post",code="200"} 1027\n'
        b"http_requests_total 3\n"
        b"# HELP temperature_celsius Now.\n"
        b"# TYPE temperature_celsius gauge\n"
        b"temperature_celsius 21.5\n"
    )
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_histogram_has_rising_buckets_up_to_infinity_a_sum_and_a_count():
    histogram = Histogram((0.5, 2.0))
    for value in (0.25, 0.5, 1.0, 8.0):
        histogram.observe(value)
    text = Exposition()
    text.histogram("wait_seconds", "Waits.", [({"model": "m"}, histogram)])

    family = parsed(text)["wait_seconds"]

    assert family.type == "histogram"
    assert samples(family) == [
        ("wait_seconds_bucket", {"model": "m", "le": "0.5"}, 2),
        ("wait_seconds_bucket", {"model": "m", "le": "2"}, 3),
        ("wait_seconds_bucket", {"model": "m", "le": "+Inf"}, 4),
        ("wait_seconds_sum", {"model": "m"}, 9.75),
        ("wait_seconds_count", {"model": "m"}, 4),
    ]


@given(label=st.text(st.characters(exclude_categories=["Cs"])), value=st.floats())
def test_any_label_and_value_come_back_as_they_were(label, value):
    text = Exposition()
    text.gauge("g", "h", [({"label": label}, value), ({"label": "second"}, 1)])

    (first, _) = parsed(text)["g"].samples

    assert first.labels == {"label": label}
    assert first.value == value or (math.isnan(first.value) and math.isnan(value))


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\\")))
def test_help_of_several_lines_stays_one(text):
    exposition = Exposition()
    exposition.gauge("g", text, [({}, 1)])

    assert exposition.encode().count(b"\n") == 3
    assert exposition.encode().split(b"\n")[0].decode() == "# HELP g " + text.replace("\\", "\\\\").replace("\n", "\\n")


def test_unknown_value_is_left_out_and_its_family_can_still_be_found():
    text = Exposition()
    text.gauge("g", "Help.", [({"model": "a"}, None)])

    family = parsed(text)["g"]

    assert (family.documentation, family.samples) == ("Help.", [])


@pytest.mark.parametrize(
    ("value", "written"), [(3.0, b"3"), (2**53 + 2.0, b"9007199254740994.0"), (0.1, b"0.1"), (-2, b"-2"), (0, b"0")]
)
def test_numbers_are_written_without_loss(value, written):
    text = Exposition()
    text.gauge("g", "", [({}, value)])

    assert text.encode().splitlines()[-1] == b"g " + written
