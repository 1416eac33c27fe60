"""Reports for programs: JSON, and JUnit XML that is well-formed whatever the bundle is called and says."""

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.bundle.manifest import Budget, MetricLimit
from edged.validation.comparison import Difference
from edged.validation.junit import junit_of
from edged.validation.report import document_of, rows_of
from edged.validation.verdict import Measured, SampleResult, VariantResult, Verdict


def difference(sample, reason):
    return Difference(sample=sample, output="y", reason=reason)


def verdict(samples, *, overall=(), value=2.0, memory_bytes=1 << 20):
    limit = MetricLimit(metric="mean_absolute_error", output="y", at_most=2.5)
    return Verdict(
        samples=tuple(samples),
        overall=tuple(overall),
        measures=(Measured(limit=limit, value=value, samples=2),),
        latency_p50_ms=7.0,
        memory_bytes=memory_bytes,
        budget=Budget(latency_ms=5.0, memory_bytes=1 << 27),
    )


GOOD = SampleResult(name="good", differences=(), run_s=0.25)
BAD = SampleResult(name="bad", differences=(difference("bad", "is 1"), difference("bad", "is missing")), run_s=None)
RESULTS = [
    VariantResult(variant="v-int8", verdict=verdict([GOOD, BAD], overall=[difference(None, "agrees in none")])),
    VariantResult(variant="v-arm64", skipped="built for arm64"),
    VariantResult(variant="v-broken", error="model-load-failed: no model"),
]


def suites(results, warnings=()):
    root = ET.fromstring(junit_of("toy-1.0.0", results, warnings=warnings))
    assert root.tag == "testsuites"
    return {suite.get("name"): suite for suite in root}


def test_each_sample_and_each_budget_of_each_variant_is_a_case():
    found = {case.get("name"): [child.tag for child in case] for case in suites(RESULTS)["v-int8"].iter("testcase")}

    assert found == {
        "sample good": [],
        "sample bad": ["failure"],
        "all samples, output y": ["failure"],
        "mean_absolute_error of y": [],
        "median latency within 5 ms": ["failure"],
        "memory within 128 MiB": [],
    }


def test_counts_of_a_suite_are_those_of_its_cases():
    suite = suites(RESULTS)["v-int8"]

    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "6",
        "failures": "3",
        "errors": "0",
        "skipped": "0",
        "time": "0.250000",
    }


def test_a_failure_says_every_reason_and_the_first_as_its_message():
    failure = suites(RESULTS)["v-int8"].find("testcase[@name='sample bad']/failure")

    assert failure.get("message") == "sample bad, output y: is 1"
    assert failure.text.splitlines() == ["sample bad, output y: is 1", "sample bad, output y: is missing"]


@pytest.mark.parametrize(("variant", "kind"), [("v-arm64", "skipped"), ("v-broken", "error")])
def test_a_variant_without_a_verdict_is_one_case(variant, kind):
    (case,) = suites(RESULTS)[variant].iter("testcase")

    assert case.get("classname") == variant
    assert [child.tag for child in case] == [kind]


def test_memory_that_could_not_be_measured_is_a_skipped_case():
    result = VariantResult(variant="v", verdict=verdict([GOOD], memory_bytes=None))

    assert suites([result])["v"].find("testcase[@name='memory within 128 MiB']/skipped") is not None


def test_warnings_are_output_of_the_first_suite():
    found = suites(RESULTS, warnings=["too wide"])

    assert found["v-int8"].findtext("system-err") == "warning: too wide"
    assert found["v-arm64"].find("system-err") is None


@given(st.text(st.characters(codec=None), max_size=30))
def test_whatever_texts_say_the_report_can_be_read(text):
    """Also control characters and halves of surrogate pairs, which XML has no way to write."""
    name = text or "nameless"
    sample = SampleResult(name=name, differences=(difference(name, text + "."),), run_s=0.1)

    suite = suites([VariantResult(variant=name, verdict=verdict([sample]))], warnings=[text])

    (found,) = suite.values()
    assert found.get("tests") == "4"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('<&>"]]>', '<&>"]]>'),
        ("a\x00\x1b[31m", "a\\x00\\x1b[31m"),
        ("\ud800", "\\ud800"),
        ("\uffff", "\\uffff"),
        ("läßt 😀", "läßt 😀"),
    ],
)
def test_texts_come_back_as_they_were_and_what_xml_lacks_as_escapes(text, written):
    failure = suites([VariantResult(variant="v", error=text)])["v"].find("testcase/error")

    assert failure.get("message") == failure.text == written


def test_the_document_has_every_variant_with_its_state_and_its_figures():
    document = json.loads(
        json.dumps(document_of("toy-1.0.0", "onnxruntime 1", RESULTS, warnings=["few"]), allow_nan=False)
    )

    assert (document["schema"], document["passed"], document["warnings"]) == (1, False, ["few"])
    assert [(v["variant"], v["status"]) for v in document["variants"]] == [
        ("v-int8", "failed"),
        ("v-arm64", "skipped"),
        ("v-broken", "error"),
    ]
    failed = document["variants"][0]
    assert failed["samples"][1]["differences"] == [
        {"output": "y", "reason": "is 1"},
        {"output": "y", "reason": "is missing"},
    ]
    assert failed["latency"] == {"p50_ms": 7.0, "budget_ms": 5.0}
    assert failed["memory"] == {"needed_bytes": 1 << 20, "budget_bytes": 1 << 27}


def test_an_error_without_bounds_is_no_number_in_the_document():
    result = VariantResult(variant="v", verdict=verdict([GOOD], value=float("inf")))

    document = json.loads(json.dumps(document_of("toy", "", [result], warnings=[]), allow_nan=False))

    assert document["variants"][0]["measures"][0]["value"] is None
    assert "is inf" in document["variants"][0]["measures"][0]["reason"]


def test_skipped_variants_do_not_fail_a_bundle():
    assert document_of("toy", "", [RESULTS[1]], warnings=[])["passed"] is True


def test_the_table_has_a_row_for_each_variant():
    rows = list(rows_of(RESULTS))

    assert rows[1] == ["v-int8", "failed", "1 of 2 good", "7 ms", "5 ms", "1 MiB", "128 MiB"]
    assert rows[2] == ["v-arm64", "skipped"]
