"""Policies from files, for verbs that ask no daemon: read, tested, and decided by on a made-up model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from edged.api.documents.decisions import describe_decision
from edged.api.documents.policy import Explanation, ExplanationDocument, GivenValue, describe_verdicts
from edged.bundle.manifest import Precision
from edged.errors import PolicyError, Problem, StoreError, UsageError
from edged.files import read_limited
from edged.policy.asked import ask_rules
from edged.policy.combine import combine
from edged.policy.conditions import one_of
from edged.policy.document import PolicyFile
from edged.policy.given import MODEL, given_problems, situation_of
from edged.policy.parse import MAX_POLICY_FILE_BYTES, parse_policy
from edged.select.check import made_up_variants
from edged.select.decide import decide
from edged.select.decision import Circumstances, Regulatory

_PRECISIONS: Final = get_args(Precision)


def read_policy(path: Path) -> PolicyFile:
    """Read a policy; its tests are not run.

    Raises:
        PolicyError: It cannot be read, or is none.
    """
    try:
        text = read_limited(path, max_bytes=MAX_POLICY_FILE_BYTES, may_wait=True)
    except (OSError, StoreError) as exc:
        found = exc.message if isinstance(exc, StoreError) else str(exc.strerror)
        raise PolicyError(
            str(path), [Problem(pointer="file", expected="expected a readable file", found=found)]
        ) from exc
    return parse_policy(text, source=str(path))


def explain_offline(
    policy: PolicyFile, *, model: str | None, given: Mapping[str, GivenValue], precisions: tuple[str, ...]
) -> ExplanationDocument:
    """Say what a policy would decide on a device that is calm but for what is given, and why.

    Args:
        policy: Asked before nothing but the built-in rule.
        model: What to call the made-up model; it has a cloud endpoint.
        given: What is otherwise.
        precisions: Of its variants.

    Raises:
        UsageError: Something given cannot be read, or there is no such precision.
    """
    if problems := given_problems(given):
        raise UsageError("; ".join(f"--set {problem}" for problem in problems))
    situation = situation_of({"model": model or MODEL, **given})
    if unknown := [name for name in precisions if name not in _PRECISIONS]:
        raise UsageError(f"--variants: {one_of(_PRECISIONS, unknown[0])}, got {unknown[0]!r}")
    if len(set(precisions)) < len(precisions):
        raise UsageError(f"--variants: expected each precision once, got {','.join(precisions)!r}")
    variants = made_up_variants(precisions, model=situation.ask.model)
    rules = combine(local=policy)
    regulatory = Regulatory(name=situation.context.regulatory)
    decision = decide(
        situation.context,
        situation.ask,
        rules=rules,
        variants=variants,
        circumstances=Circumstances(now_s=0.0, has_endpoint=True, regulatory=regulatory),
    )
    chosen = next((variant.precision for variant in variants if variant.id == decision.variant), None)
    explanation = Explanation(
        decision=describe_decision(situation.ask, decision, precision=chosen),
        rules=describe_verdicts(ask_rules(rules, situation)),
    )
    return ExplanationDocument(given=dict(given), explanations=(explanation,))
