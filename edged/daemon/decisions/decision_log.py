"""Writes down what is decided otherwise than before: for whoever asks, for whoever listens, and in the journal.

Decisions are made anew whenever the device changes, and are mostly the same. One is another one when something else becomes of a request:
what was done, by which rule, by which variant, at which scale, within which limits. In other words only, it is not.

Of a device that never had a reason to decide otherwise than by the built-in rule, the journal says nothing; except where the regulatory
mode wants to know of everything.

What is decided otherwise again and again, because a plug is loose or pressure goes up and down around what a rule asks for, is not told
each time (``edged.daemon.pace``): listeners are told what is decided at the end of each ``EVENTS_PER_S``, the journal how often it changed,
once in ``JOURNAL_PER_S``. Where the regulatory mode asks for each decision, the journal has each.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from edged import journal
from edged.api.documents.decisions import DecisionChange, DecisionStatus, describe_decision
from edged.clock import Clock
from edged.daemon.decisions.decider import MAX_KINDS
from edged.daemon.pace import EVENTS_MOST, EVENTS_PER_S, JOURNAL_MOST, JOURNAL_PER_S, Later, Outlet
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
        publish: Told of changes.
        later: Has it come back to what it kept back.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        precision: Callable[[str, str], str | None],
        publish: Callable[[DecisionChange], None],
        later: Later,
    ) -> None:
        self._clock = clock
        self._precision = precision
        self._publish = publish
        self._outlet = partial(Outlet, clock=clock, later=later)
        self._changes: deque[DecisionChange] = deque(maxlen=MAX_CHANGES)
        self._told: dict[Ask, _Told] = {}
        """By kind of request, in the order in which they were last noted."""

    @property
    def recent(self) -> tuple[DecisionChange, ...]:
        """What listeners were told lately, newest last."""
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
        told = self._told_of(ask)
        told.publish(change)
        if now.log:
            _record(change.decision)
        elif now.origin != "built-in" or (before is not None and before.origin != "built-in"):
            told.record(change)

    def _told_of(self, ask: Ask) -> "_Told":
        told = self._told.pop(ask, None) or _Told(self._outlet, self._tell)
        if len(self._told) >= MAX_KINDS:
            # The one that was noted longest ago; what it kept back it still tells.
            del self._told[next(iter(self._told))]
        self._told[ask] = told
        return told

    def _tell(self, change: DecisionChange) -> None:
        self._changes.append(change)
        self._publish(change)

    def _describe(self, ask: Ask, decision: Decision) -> DecisionStatus:
        variant = decision.variant
        precision = None if variant is None else self._precision(ask.model, variant)
        return describe_decision(ask, decision, precision=precision)


class _Told:
    """What was told of one kind of request."""

    def __init__(self, outlet: Callable[..., Outlet], tell: Callable[[DecisionChange], None]) -> None:
        self._tell = tell
        self._last: DecisionChange | None = None
        self._published: DecisionChange | None = None
        self._news = outlet(most=EVENTS_MOST, per_s=EVENTS_PER_S, settle=self._publish_last)
        self._journal = outlet(most=JOURNAL_MOST, per_s=JOURNAL_PER_S, settle=self._record_count)

    def publish(self, change: DecisionChange) -> None:
        self._last = change
        if self._news.may_tell():
            self._published = change
            self._tell(change)

    def record(self, change: DecisionChange) -> None:
        if self._journal.may_tell():
            _record(change.decision)

    def _publish_last(self, _times: int) -> None:
        last, published = self._last, self._published
        if last is not None and (published is None or last.decision != published.decision):
            self._published = last
            self._tell(last)

    def _record_count(self, times: int) -> None:
        if self._last is not None:
            status = self._last.decision
            journal.event(
                LOG,
                journal.DECISIONS_UNSTEADY,
                model=status.model,
                request=status.request,
                consent="yes" if status.consent else "no",
                times=times,
                seconds=round(JOURNAL_PER_S),
                action=status.action,
                rule=status.rule,
                variant=status.variant or "none",
            )


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
        consent="yes" if status.consent else "no",
        action=status.action,
        rule=status.rule,
        origin=status.origin,
        variant=status.variant or "none",
        scale=status.scale,
        reason="; ".join(status.reasons),
    )
