"""A policy's own tests, run through the decision itself on a made-up model. Pure.

The model has a variant for each precision that a test names, all with the same budget, and a cloud endpoint; every variant can run. What
was measured of them is what the test says. What a test does not expect may be anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import Budget, FileEntry, Precision, Runtime, Targets, Tier, Variant
from edged.errors import PolicyError, Problem
from edged.pipeline.spec import TensorSpec
from edged.policy.combine import combine
from edged.policy.document import Figures, PolicyFile, PolicyTest
from edged.policy.faults import place_of_test
from edged.policy.given import MODEL, situation_of
from edged.policy.parse import check_faults, parse_policy
from edged.policy.ranked import RankedRule
from edged.select.decide import decide
from edged.select.decision import Circumstances, Decision, Measured, Regulatory
from edged.select.selectors import is_meant

HINT: Final = "edgectl policy test FILE shows what was decided in each test, and why."

_TIERS: Final[tuple[tuple[Tier, tuple[Precision, ...]], ...]] = (
    ("quality", ("fp32",)),
    ("speed", ("bf16", "fp16", "int4")),
    ("memory", ("int8",)),
)
"""In the order in which a machine prefers them."""
_TENSOR: Final = TensorSpec(name="x", dtype="FP32", shape=(1,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What came of one test."""

    test: PolicyTest
    decision: Decision
    failures: tuple[Problem, ...]
    """What was expected and what was decided instead, by the keys of ``expect``; none when it passed."""


def run_tests(policy: PolicyFile) -> tuple[Case, ...]:
    """Run all tests of a policy, in their order.

    Args:
        policy: One in which ``edged.policy.faults`` finds nothing.
    """
    rules = combine(local=policy)
    return tuple(_run(test, rules) for test in policy.tests)


def check_policy(policy: PolicyFile, *, source: str) -> None:
    """Make sure that there is nothing wrong with a policy, and that it does what its own tests say.

    Args:
        policy: One whose types are right.
        source: What to call it in errors.

    Raises:
        PolicyError: There is; or a test fails, and every one that does is named, with what was decided and why.
    """
    check_faults(policy, source=source)
    problems = [_failed(case, problem) for case in run_tests(policy) for problem in case.failures]
    if problems:
        raise PolicyError(source, problems, hint=HINT)


def read_policy(text: bytes, *, source: str) -> PolicyFile:
    """Read a policy as it is written, and run its tests.

    Raises:
        PolicyError: As ``edged.policy.parse.parse_policy``, or as ``check_policy``.
    """
    policy = parse_policy(text, source=source)
    check_policy(policy, source=source)
    return policy


def _failed(case: Case, problem: Problem) -> Problem:
    reasons = "; ".join(case.decision.reasons)
    return Problem(
        pointer=f"{place_of_test(case.test.name)}: {problem.pointer}",
        expected=problem.expected,
        found=f"{problem.found} ({reasons})",
    )


def _run(test: PolicyTest, rules: tuple[RankedRule, ...]) -> Case:
    situation = situation_of(test.given)
    variants = made_up_variants(test.variants)
    decision = decide(
        situation.context,
        situation.ask,
        rules=rules,
        variants=variants,
        circumstances=Circumstances(
            now_s=0.0,
            measured={v.id: _measured(test.measured[v.precision]) for v in variants if v.precision in test.measured},
            has_endpoint=True,
            regulatory=Regulatory(name=situation.context.regulatory),
        ),
    )
    return Case(test=test, decision=decision, failures=tuple(_failures(test, decision, variants)))


def _measured(figures: Figures) -> Measured:
    return Measured(
        latency_s=None if figures.latency_ms is None else figures.latency_ms / 1000,
        joules=figures.joules,
        watts=figures.watts,
    )


def _failures(test: PolicyTest, decision: Decision, variants: tuple[Variant, ...]) -> Iterator[Problem]:
    expect = test.expect
    for key, wanted, got in (
        ("rule", expect.rule, decision.rule),
        ("action", expect.action, decision.action.value),
        ("scale", expect.scale, decision.scale),
        ("retry_after_s", expect.retry_after_s, decision.retry_after_s),
    ):
        if wanted is not None and wanted != got:
            yield Problem(pointer=key, expected=f"expected {wanted}", found="none" if got is None else str(got))
    if expect.variant is not None:
        chosen = next((variant for variant in variants if variant.id == decision.variant), None)
        if chosen is None or not is_meant(chosen, expect.variant):
            found = "none" if chosen is None else chosen.precision
            yield Problem(pointer="variant", expected=f"expected {expect.variant}", found=found)


def made_up_variants(precisions: tuple[str, ...], *, model: str = MODEL) -> tuple[Variant, ...]:
    """Return a variant for each precision, best for a machine first.

    Args:
        precisions: Each once; those that there are no such of are left out.
        model: Its name, for their ids.
    """
    return tuple(
        _variant(model, tier, precision) for tier, ones in _TIERS for precision in ones if precision in precisions
    )


def _variant(model: str, tier: Tier, precision: Precision) -> Variant:
    return Variant(
        id=f"{model}-1.0.0-{precision}-any",
        tier=tier,
        precision=precision,
        format="onnx",
        files=(FileEntry(path="model.onnx", role="model", sha256="0" * 64, size=0),),
        targets=Targets(arch=("amd64", "arm64")),
        runtime=Runtime(name="onnxruntime", version=">=1.0"),
        inputs=(_TENSOR,),
        outputs=(_TENSOR,),
        budget=Budget(latency_ms=100.0, memory_bytes=1 << 20),
    )
