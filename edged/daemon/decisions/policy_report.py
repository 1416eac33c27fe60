"""What people are told of the policy, and what they may decide in its place.

Fulfils ``PolicySource`` and ``PolicySteering`` of ``edged.api.ports``.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edged.api.documents.decisions import DecisionStatus, describe_decision
from edged.api.documents.policy import (
    Explanation,
    ExplanationDocument,
    GivenValue,
    OverrideStatus,
    PolicyDocument,
    PolicySourceStatus,
    RegulatoryStatus,
    describe_rules,
    describe_verdicts,
)
from edged.daemon.decisions.overrides import Overrides
from edged.daemon.decisions.policies import PoliciesInForce
from edged.daemon.decisions.seams import Accuracy, Contexts, Variants
from edged.errors import ModelUnknownError, Problem, RequestError
from edged.policy.ask import Ask
from edged.policy.asked import ask_rules
from edged.policy.document import Then
from edged.policy.faults import then_problems
from edged.policy.given import Situation, given_problems, situation_of
from edged.policy.override import Override, left_s
from edged.select.decision import Decision
from edged.select.selectors import is_meant
from edged.sense.context import Context


class Decisions(Protocol):
    """What is decided, and what would be (``edged.daemon.decisions.decider``)."""

    @property
    def decisions(self) -> Sequence[tuple[Ask, Decision]]:
        """Every kind of request that is decided about now."""
        ...

    def what_if(self, ask: Ask, context: Context) -> Decision:
        """Return what would be decided in another context."""
        ...


class PolicyReport:
    """Describes, explains and overrides.

    Args:
        policies: The rules in force.
        overrides: Of operators.
        contexts: The device.
        variants: Of the models.
        accuracy: Of their answers.
        decisions: What is decided by all of that.
        now: Returns the wall clock, Unix seconds, and the seconds since the machine was started.
    """

    def __init__(
        self,
        *,
        policies: PoliciesInForce,
        overrides: Overrides,
        contexts: Contexts,
        variants: Variants,
        accuracy: Accuracy,
        decisions: Decisions,
        now: Callable[[], tuple[float, float]],
    ) -> None:
        self._policies = policies
        self._overrides = overrides
        self._contexts = contexts
        self._variants = variants
        self._accuracy = accuracy
        self._decisions = decisions
        self._now = now

    def describe(self) -> PolicyDocument:
        """Describe all that decides about requests; see ``PolicySource``."""
        regulatory = self._policies.regulatory
        return PolicyDocument(
            sources=tuple(
                PolicySourceStatus(
                    origin=source.origin,
                    name=source.policy.name,
                    description=source.policy.description,
                    place=source.place,
                    dwell_s=source.policy.dwell_s,
                    rules=len(source.policy.rules),
                )
                for source in self._policies.sources
            ),
            refused=tuple(self._policies.refused),
            rules=describe_rules(self._policies.rules),
            overrides=tuple(self._status(override) for override in self._overrides.current),
            regulatory=RegulatoryStatus(
                mode=regulatory.name,
                forbid_offload=regulatory.forbids_offload,
                log_decisions=regulatory.logs_decisions,
            ),
            decisions=tuple(self._described(ask, decision) for ask, decision in self._decisions.decisions),
        )

    def explain(self, *, model: str | None, given: Mapping[str, GivenValue]) -> ExplanationDocument:
        """Say what would be decided, and why; see ``PolicySource``."""
        if problems := given_problems(given):
            raise RequestError(
                "; ".join(f"given {problem}" for problem in problems), pointer=f"/given/{problems[0].pointer}"
            )
        wanted = str(given["model"]) if "model" in given else model
        if wanted is not None:
            self._check_known(wanted)
        models = sorted(self._variants.models()) if wanted is None else [wanted]
        return ExplanationDocument(
            given=dict(given), explanations=tuple(self._explained(name, given) for name in models)
        )

    async def override(self, model: str, then: Then, *, for_s: float, reason: str, by: str) -> OverrideStatus:
        """Decide about a model for a while; see ``PolicySteering``."""
        self._check_known(model)
        self._check_possible(model, then)
        beginning = self._overrides.begin(model, then, for_s=for_s, reason=reason, by=by)
        # What is begun is done to its end, also when whoever asked for it has left.
        return self._status(await asyncio.shield(asyncio.create_task(beginning)))

    async def clear(self, model: str | None, *, by: str) -> Sequence[OverrideStatus]:
        """End overrides; see ``PolicySteering``."""
        ended = await asyncio.shield(asyncio.create_task(self._overrides.clear(model, by=by)))
        return [self._status(override) for override in ended]

    def _explained(self, model: str, given: Mapping[str, GivenValue]) -> Explanation:
        now = Situation(context=self._contexts.current, ask=Ask(model=model, accuracy=self._accuracy.of(model)))
        situation = situation_of(given, now)
        decision = self._decisions.what_if(situation.ask, situation.context)
        asked = ask_rules(self._policies.rules, situation)
        return Explanation(decision=self._described(situation.ask, decision), rules=describe_verdicts(asked))

    def _described(self, ask: Ask, decision: Decision) -> DecisionStatus:
        chosen = (variant for variant in self._variants.known(ask.model) if variant.id == decision.variant)
        precision = next((variant.precision for variant in chosen), None)
        return describe_decision(ask, decision, precision=precision)

    def _status(self, override: Override) -> OverrideStatus:
        unix_s, boot_s = self._now()
        return OverrideStatus(
            model=override.model,
            then=override.then,
            by=override.by,
            reason=override.reason,
            began=override.began_unix_s,
            until=override.until_unix_s,
            left_s=max(0.0, left_s(override, unix_s=unix_s, boot_s=boot_s)),
        )

    def _check_known(self, model: str) -> None:
        if model not in self._variants.models():
            raise ModelUnknownError(
                f"no model {model} answers on this device", hint="edgectl models lists those that do."
            )

    def _check_possible(self, model: str, then: Then) -> None:
        problems = list(then_problems(then, "then"))
        if then == Then():
            problems.append(Problem(pointer="then", expected="expected something to do"))
        known = self._variants.known(model)
        problems += [
            Problem(
                pointer="then.variants",
                expected=f"expected a precision, a tier or an id of {', '.join(variant.id for variant in known)}",
                found=selector,
            )
            for selector in then.variants
            if not any(is_meant(variant, selector) for variant in known)
        ]
        if problems:
            raise RequestError("; ".join(str(problem) for problem in problems), pointer="/then")
