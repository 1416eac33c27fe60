"""A validation as JUnit XML, which continuous integration shows as test results. Pure.

One suite for each variant, one case for each sample, each measure against the truth, each output judged over all samples, and each
budget. A variant that this machine cannot run is a suite with one skipped case; one that could not be asked is one case with an error.
The elements and attributes are those that GitLab, Jenkins and GitHub's report actions read: ``testsuites``, ``testsuite``, ``testcase``,
``failure``, ``error``, ``skipped`` and ``system-err``.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from edged.validation.verdict import VariantResult, mebibytes, milliseconds

# What XML 1.0 has no way to write, not even as a reference: control characters, halves of surrogate pairs, U+FFFE and U+FFFF.
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    name: str
    kind: str = ""
    """``failure``, ``error`` or ``skipped``; empty when it passed."""
    reasons: Sequence[str] = ()
    seconds: float = 0.0


def junit_of(bundle: str, results: Sequence[VariantResult], *, warnings: Sequence[str] = ()) -> bytes:
    """Write a report.

    Args:
        bundle: What was validated, NAME-VERSION.
        results: Of each of its variants.
        warnings: About its kit; written to ``system-err`` of the first suite.

    Returns:
        A UTF-8 document. Characters that XML cannot have are written as escapes, as Python writes them.
    """
    suites = {result.variant: list(_cases(result)) for result in results}
    root = Element("testsuites", _attributes(bundle, [case for cases in suites.values() for case in cases]))
    for number, (variant, cases) in enumerate(suites.items()):
        suite = SubElement(root, "testsuite", _attributes(variant, cases))
        for case in cases:
            at = {"classname": variant, "name": case.name, "time": f"{case.seconds:.6f}"}
            element = SubElement(suite, "testcase", {key: _text(value) for key, value in at.items()})
            if case.kind:
                problem = SubElement(element, case.kind, {"message": _text(case.reasons[0])})
                problem.text = _text("\n".join(case.reasons))
        if warnings and number == 0:
            SubElement(suite, "system-err").text = _text("\n".join(f"warning: {line}" for line in warnings))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _cases(result: VariantResult) -> Iterator[_Case]:
    if result.skipped:
        yield _Case(name="variant", kind="skipped", reasons=[result.skipped])
    if result.error:
        yield _Case(name="variant", kind="error", reasons=[result.error])
    if result.verdict is None:
        return
    verdict = result.verdict
    for sample in verdict.samples:
        yield _case(f"sample {sample.name}", [str(each) for each in sample.differences], sample.run_s or 0.0)
    for difference in verdict.overall:
        yield _case(f"all samples, output {difference.output}", [difference.reason])
    for measured in verdict.measures:
        yield _case(f"{measured.limit.metric} of {measured.limit.output}", [measured.reason])
    yield _case(f"median latency within {milliseconds(verdict.budget.latency_ms)}", [verdict.latency_reason])
    name = f"memory within {mebibytes(verdict.budget.memory_bytes)}"
    if verdict.memory_bytes is None:
        yield _Case(name=name, kind="skipped", reasons=["this system does not tell how much memory a process uses"])
    else:
        yield _case(name, [verdict.memory_reason])


def _case(name: str, reasons: Sequence[str], seconds: float = 0.0) -> _Case:
    given = [reason for reason in reasons if reason]
    return _Case(name=name, kind="failure" if given else "", reasons=given, seconds=seconds)


def _attributes(name: str, cases: Sequence[_Case]) -> dict[str, str]:
    kinds = [case.kind for case in cases]
    return {
        "name": _text(name),
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(case.seconds for case in cases):.6f}",
    }


def _text(text: str) -> str:
    return _NO_XML.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
