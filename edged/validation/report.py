"""A validation for people and for programs. Pure; ``junit`` has the form for continuous integration.

The document, schema 1: ``bundle``, ``runtime``, ``passed``, ``warnings`` (about the kit) and ``variants``. Each of these has ``variant``
and ``status``: ``passed``, ``failed``, ``skipped`` (this machine cannot run it) or ``error`` (it could not be loaded or asked);
``reasons`` for everything but ``passed``; and, where it was asked, ``samples``, ``overall``, ``measures``, ``latency`` and ``memory``.
"""

from collections.abc import Iterator, Sequence

from edged.validation.verdict import VariantResult, Verdict, mebibytes, milliseconds


def document_of(
    bundle: str, runtime: str, results: Sequence[VariantResult], *, warnings: Sequence[str]
) -> dict[str, object]:
    """Return the document for programs.

    Args:
        bundle: What was validated, NAME-VERSION.
        runtime: What executed it, with its version.
        results: Of each of its variants.
        warnings: About its kit.
    """
    return {
        "schema": 1,
        "bundle": bundle,
        "runtime": runtime,
        "passed": not any(result.status in {"failed", "error"} for result in results),
        "warnings": list(warnings),
        "variants": [
            {
                "variant": result.variant,
                "status": result.status,
                "reasons": list(result.reasons),
                **({} if result.verdict is None else _details(result.verdict)),
            }
            for result in results
        ],
    }


def rows_of(results: Sequence[VariantResult]) -> Iterator[list[str]]:
    """Yield the cells of a table for people, its head first."""
    yield ["VARIANT", "STATUS", "SAMPLES", "LATENCY", "BUDGET", "MEMORY", "BUDGET"]
    for result in results:
        cells = [result.variant, result.status]
        if (verdict := result.verdict) is not None:
            good = sum(not sample.differences for sample in verdict.samples)
            cells += [f"{good} of {len(verdict.samples)} good"]
            cells += ["-" if verdict.latency_p50_ms is None else milliseconds(verdict.latency_p50_ms)]
            cells += [milliseconds(verdict.budget.latency_ms)]
            cells += ["-" if verdict.memory_bytes is None else mebibytes(verdict.memory_bytes)]
            cells += [mebibytes(verdict.budget.memory_bytes)]
        yield cells


def _details(verdict: Verdict) -> dict[str, object]:
    return {
        "samples": [
            {
                "name": sample.name,
                "passed": not sample.differences,
                "run_ms": None if sample.run_s is None else sample.run_s * 1000,
                "differences": [{"output": each.output, "reason": each.reason} for each in sample.differences],
            }
            for sample in verdict.samples
        ],
        "overall": [{"output": each.output, "reason": each.reason} for each in verdict.overall],
        "measures": [
            {
                "metric": measured.limit.metric,
                "output": measured.limit.output,
                # JSON has no number for an error without bounds.
                "value": measured.value if measured.value is not None and measured.value < float("inf") else None,
                "samples": measured.samples,
                "at_most": measured.limit.at_most,
                "at_least": measured.limit.at_least,
                "reason": measured.reason,
            }
            for measured in verdict.measures
        ],
        "latency": {"p50_ms": verdict.latency_p50_ms, "budget_ms": verdict.budget.latency_ms},
        "memory": {"needed_bytes": verdict.memory_bytes, "budget_bytes": verdict.budget.memory_bytes},
    }
