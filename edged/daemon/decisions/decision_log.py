"""Writes down what is decided otherwise than before: for whoever asks, for whoever listens, and in the journal.

Decisions are made anew whenever the device changes, and are mostly the same. One is another one when something else becomes of a request:
what was done, by which rule, by which variant, at which scale, within which limits. In other words only, it is not.

Of a device that never had a reason to decide otherwise than by the built-in rule, the journal says nothing; except where the regulatory
mode wants to know of everything.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from edged import journal
from edged.api.documents.decisions import DecisionChange, DecisionStatus, describe_decision
from edged.clock import Clock
from edged.policy.ask import Ask
from edged.select.decision import Decision

LOG = logging.getLogger(__name__)

MAX_CHANGES: Final = 200
"""That are remembered."""


class DecisionLog:
    """What was decided, as far as it is remembered.

    Args:
        clock: For the times of changes.
        precision: Returns that of a model's variant, by their names.
        publish: Told of each change.
    """

    def __init__(
        self, clock: Clock, *, precision: Callable[[str, str], str | None], publish: Callable[[DecisionChange], None]
    ) -> None:
        self._clock = clock
        self._precision = precision
        self._publish = publish
        self._changes: deque[DecisionChange] = deque(maxlen=MAX_CHANGES)

    @property
    def recent(self) -> tuple[DecisionChange, ...]:
        """What changed lately, newest last."""
        return tuple(self._changes)

    def describe(self, decisions: Sequence[tuple[Ask, Decision]]) -> tuple[DecisionStatus, ...]:
        """Describe decisions for the API."""
        return tuple(self._describe(ask, decision) for ask, decision in decisions)

    def note(self, ask: Ask, before: Decision | None, now: Decision) -> None:
        """Take note of a decision.

        Args:
            ask: The kind of request.
            before: What was decided about it until now.
            now: What is.
        """
        if before is not None and _effect(before) == _effect(now):
            return
        change = DecisionChange(at=self._clock.unix_s(), decision=self._describe(ask, now))
        self._changes.append(change)
        self._publish(change)
        if now.log or now.origin != "built-in" or (before is not None and before.origin != "built-in"):
            _record(change.decision)

    def _describe(self, ask: Ask, decision: Decision) -> DecisionStatus:
        variant = decision.variant
        precision = None if variant is None else self._precision(ask.model, variant)
        return describe_decision(ask, decision, precision=precision)


def _effect(decision: Decision) -> tuple[object, ...]:
    return (
        decision.action,
        decision.rule,
        decision.origin,
        decision.variant,
        decision.scale,
        decision.frequency_share,
        decision.max_concurrent,
        decision.max_rate_per_s,
        decision.retry_after_s,
        decision.may_offload,
        decision.denial,
    )


def _record(status: DecisionStatus) -> None:
    journal.event(
        LOG,
        journal.MODEL_DECIDED,
        model=status.model,
        request=status.request,
        action=status.action,
        rule=status.rule,
        origin=status.origin,
        variant=status.variant or "none",
        scale=status.scale,
        reason="; ".join(status.reasons),
    )
