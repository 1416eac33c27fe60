"""What a validation found, and whether that is good enough. Pure.

A model passes when no sample and no output over all samples differs by more than its tolerance, every limit on a measure against the
truth holds, the median latency is within the variant's budget, and so is the memory. What could not be measured is not held against it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from edged.bundle.manifest import Budget, MetricLimit
from edged.validation.comparison import Difference

_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What came of one sample."""

    name: str
    differences: tuple[Difference, ...]
    """Every output beyond its tolerance; all of them when it got an error instead of an answer."""
    run_s: float | None
    """Seconds that the worker took for it, pipeline included; None without an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A measure against the truth, and the limit it is held against."""

    limit: MetricLimit
    value: float | None
    """None when it could not be computed."""
    samples: int
    """How many had a truth for it."""
    fault: str = ""
    """Why it could not be computed."""

    @property
    def reason(self) -> str:
        """Why the limit is not kept; empty when it is."""
        what = f"{self.limit.metric} of {self.limit.output} over {self.samples} samples"
        if self.value is None:
            return f"{what} cannot be measured: {self.fault}"
        if self.limit.at_most is not None and not self.value <= self.limit.at_most:
            return f"{what} is {self.value:.4g}, allowed is at most {self.limit.at_most:g}"
        if self.limit.at_least is not None and not self.value >= self.limit.at_least:
            return f"{what} is {self.value:.4g}, allowed is at least {self.limit.at_least:g}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a validation found."""

    samples: tuple[SampleResult, ...]
    overall: tuple[Difference, ...]
    """Outputs that differ too much over all samples."""
    measures: tuple[Measured, ...]
    latency_p50_ms: float | None
    """Median of the worker's own time for a sample, pipeline included; waiting and transport are not in it. None without any answer.

    Of two in the middle it is the lower one, so that neither the first run, which also sets up what later ones use, nor a moment in
    which the machine is busy counts against a model as soon as there are two samples.
    """
    memory_bytes: int | None
    """What was needed beyond a bare worker, see ``edged.validation.memory``; None where it was not measured."""
    budget: Budget

    @property
    def passed(self) -> bool:
        """Whether it is good enough."""
        return not self.reasons

    @property
    def differences(self) -> tuple[Difference, ...]:
        """All of them, those over all samples last."""
        return (*(each for sample in self.samples for each in sample.differences), *self.overall)

    @property
    def latency_reason(self) -> str:
        """Why the latency is not good enough; empty when it is."""
        if self.latency_p50_ms is None or self.latency_p50_ms <= self.budget.latency_ms:
            return ""
        return f"median latency is {milliseconds(self.latency_p50_ms)}, the budget is {milliseconds(self.budget.latency_ms)}"

    @property
    def memory_reason(self) -> str:
        """Why the memory is not good enough; empty when it is."""
        if self.memory_bytes is None or self.memory_bytes <= self.budget.memory_bytes:
            return ""
        # Upwards, so that what is over the budget also reads so.
        return f"needs {mebibytes(self.memory_bytes)} of memory, the budget is {mebibytes(self.budget.memory_bytes)}"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not good enough, for people; empty when it is."""
        return tuple(self._reasons())

    def _reasons(self) -> Iterator[str]:
        yield from map(str, self.differences)
        found = (*(measured.reason for measured in self.measures), self.latency_reason, self.memory_reason)
        yield from filter(None, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """What came of one variant: a verdict, or why there is none."""

    variant: str
    verdict: Verdict | None = None
    skipped: str = ""
    """Why this machine cannot run it."""
    error: str = ""
    """Why it could not be loaded or asked."""

    @property
    def status(self) -> Literal["passed", "failed", "skipped", "error"]:
        """What became of it, in one word."""
        if self.error:
            return "error"
        if self.verdict is None:
            return "skipped"
        return "passed" if self.verdict.passed else "failed"

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass; empty when it did."""
        found = self.verdict.reasons if self.verdict is not None else ()
        return (*filter(None, (self.skipped, self.error)), *found)


def milliseconds(value: float) -> str:
    """Write milliseconds with three digits, and whole ones from 100 on."""
    return f"{value:.3g} ms" if value < 100 else f"{value:.0f} ms"


def mebibytes(size_bytes: int) -> str:
    """Write a number of bytes in MiB with one digit, rounded up, and none where it is a whole number."""
    tenths = math.ceil(size_bytes * 10 / _MIB)
    return f"{tenths // 10} MiB" if tenths % 10 == 0 else f"{tenths / 10:.1f} MiB"
