"""Decides about kinds of requests, and keeps what it decided. Fulfils ``edged.daemon.decisions.seams.Decides``.

1. A decision is kept, so that on the way of a request it costs a look into a dictionary.
2. Whatever it depends on, a change of that ends all decisions it concerns: a new context, other rules, other variants, another word about
   accuracy, a dwell time that has run out. They are made anew once the loop has dealt with what else there is, or before that by the
   first request that needs one; so a variant is loaded before somebody waits for it.
3. The kinds that are decided about without being asked are interactive requests of every model. Others come with their first request, and
   are forgotten when nobody has asked for so long.
4. The variant that a model had last is remembered apart for interactive requests, for background ones, and for those that consent to be
   offloaded: rules may want different variants for them, and one must not cut short the dwell time of the other.
5. When the rules are others, the place of a rule among them says nothing any more: what they want takes effect at once.
"""

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from edged.daemon.decisions.seams import Accuracy, Contexts, Endpoint, Policies, Variants
from edged.daemon.serving.alarm import Alarm
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decide import decide
from edged.select.decision import Circumstances, Decision, Incumbent
from edged.sense.context import Context

FORGET_AFTER_S: Final = 900.0
"""A kind of request that nobody made for so long is not decided about any more."""
MAX_KINDS: Final = 1024
"""That are decided about at once; there are four of each model."""

Noted = Callable[[Ask, Decision | None, Decision], None]
"""Is told the kind of request, what was decided about it before, and what is now."""


@dataclass(slots=True, kw_only=True)
class _Kind:
    """A kind of request that is decided about."""

    decision: Decision
    is_asked: bool
    """Since the last look at it."""
    asked_s: float


class Decider:
    """Keeps the decision about each kind of request. Made and used on one event loop.

    Args:
        contexts: The device.
        policies: The rules.
        variants: Of the models.
        accuracy: Of their answers.
        endpoint: Where requests could be offloaded to.
        noted: Told of every decision that was made.
    """

    def __init__(
        self,
        *,
        contexts: Contexts,
        policies: Policies,
        variants: Variants,
        accuracy: Accuracy,
        endpoint: Endpoint,
        noted: Noted,
    ) -> None:
        self._contexts = contexts
        self._policies = policies
        self._variants = variants
        self._accuracy = accuracy
        self._endpoint = endpoint
        self._noted = noted
        self._loop = asyncio.get_running_loop()
        self._kinds: dict[Ask, _Kind] = {}
        self._valid: dict[Ask, _Kind] = {}
        """Those of the kinds whose decision nothing has ended."""
        self._incumbents: dict[Ask, Incumbent] = {}
        self._wanted: dict[str, tuple[str, ...]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._alarm = Alarm(lambda _now_s: self._end_all())
        self._is_due = False
        self._is_other = False
        """Some decision is another one than the listeners know of."""
        contexts.on_change(lambda _context: self._end_all())
        policies.on_change(self._take_rules)
        variants.on_change(self._end_of_model)
        accuracy.on_change(self._end_all)
        self._end_all()

    def close(self) -> None:
        """Decide nothing by itself any more."""
        self._alarm.cancel()

    def decide(self, ask: Ask) -> Decision:
        """Return what becomes of requests of this kind now; see ``Decides``."""
        kind = self._valid.get(ask)
        if kind is None:
            return self._decide_anew(ask)
        kind.is_asked = True
        return kind.decision

    def on_change(self, told: Callable[[], None]) -> None:
        """Have somebody told when decisions may be others than before; see ``Decides``."""
        self._listeners.append(told)

    @property
    def decisions(self) -> list[tuple[Ask, Decision]]:
        """Every kind of request that is decided about now, with what was decided, by model."""
        self._refresh()
        return [(ask, self._kinds[ask].decision) for ask in sorted(self._kinds, key=_place)]

    def _decide_anew(self, ask: Ask) -> Decision:
        decision = self._make(ask)
        if len(self._kinds) < MAX_KINDS and self._variants.known(ask.model):
            self._keep(ask, decision, is_asked=True)
            self._want(ask.model)
            self._refresh_soon()
        return decision

    def what_if(self, ask: Ask, context: Context) -> Decision:
        """Return what would be decided in another context, by the accuracy that the ask says; nothing is kept.

        How long the variant that answers has to stay counts only in the context that is.
        """
        kind = Ask(model=ask.model, request_class=ask.request_class, has_consent=ask.has_consent)
        incumbent = self._incumbents.get(kind) if context is self._contexts.current else None
        return self._decided(ask, context, incumbent)

    def _make(self, ask: Ask) -> Decision:
        accuracy = self._accuracy.of(ask.model)
        return self._decided(replace(ask, accuracy=accuracy), self._contexts.current, self._incumbents.get(ask))

    def _decided(self, ask: Ask, context: Context, incumbent: Incumbent | None) -> Decision:
        model = ask.model
        return decide(
            context,
            ask,
            rules=self._policies.rules,
            variants=self._variants.known(model),
            circumstances=Circumstances(
                now_s=self._loop.time(),
                unusable=self._variants.unusable(model),
                measured=self._variants.measured(model),
                incumbent=incumbent,
                has_endpoint=self._endpoint.has(model),
                regulatory=self._policies.regulatory,
            ),
        )

    def _keep(self, ask: Ask, decision: Decision, *, is_asked: bool) -> None:
        now_s, kind = self._loop.time(), self._kinds.get(ask)
        before = None if kind is None else kind.decision
        if kind is None:
            kind = self._kinds[ask] = _Kind(decision=decision, is_asked=is_asked, asked_s=now_s)
        else:
            kind.decision, kind.is_asked = decision, kind.is_asked or is_asked
        self._valid[ask] = kind
        self._is_other |= decision != before
        if decision.incumbent is not None:
            self._incumbents[ask] = decision.incumbent
            if decision.incumbent.until_s > now_s:
                self._alarm.watch(decision.incumbent.until_s)
        self._noted(ask, before, decision)

    def _take_rules(self) -> None:
        # Any rank is further up than this one.
        self._incumbents = {ask: replace(last, rank=sys.maxsize) for ask, last in self._incumbents.items()}
        self._end_all()

    def _end_of_model(self, model: str) -> None:
        self._end([ask for ask in self._valid if ask.model == model])

    def _end_all(self) -> None:
        self._end(list(self._valid))

    def _end(self, asks: Iterable[Ask]) -> None:
        for ask in asks:
            del self._valid[ask]
        self._refresh_soon()

    def _refresh_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._refresh)

    def _refresh(self) -> None:
        """Make every decision anew that something has ended, and tell who wants to know."""
        if not self._is_due:
            return
        self._is_due = False
        self._forget()
        models = self._variants.models()
        for ask in [*self._kinds, *[Ask(model=model) for model in models]]:
            if ask not in self._valid:
                self._keep(ask, self._make(ask), is_asked=False)
        for model in models:
            self._want(model)
        is_other, self._is_other = self._is_other, False
        if is_other:
            for told in self._listeners:
                told()

    def _forget(self) -> None:
        """Drop the kinds of models that are gone, and those that nobody has asked for in a long time."""
        now_s, models = self._loop.time(), set(self._variants.models())
        for ask, kind in list(self._kinds.items()):
            if kind.is_asked:
                kind.is_asked, kind.asked_s = False, now_s
            is_standing = ask == Ask(model=ask.model)
            if ask.model not in models or (not is_standing and now_s - kind.asked_s > FORGET_AFTER_S):
                del self._kinds[ask]
                self._is_other = True
                self._valid.pop(ask, None)
                self._incumbents.pop(ask, None)
        self._wanted = {model: wanted for model, wanted in self._wanted.items() if model in models}

    def _want(self, model: str) -> None:
        """Say which variants should be loaded: the first of every kind of request."""
        asks = sorted((ask for ask in self._kinds if ask.model == model), key=_place)
        decisions = [self._kinds[ask].decision for ask in asks]
        # What is deferred or denied goes on with what it had.
        firsts = [item.variant or (item.incumbent.variant if item.incumbent else None) for item in decisions]
        wanted = tuple(dict.fromkeys(name for name in firsts if name is not None))
        if wanted != self._wanted.get(model):
            self._wanted[model] = wanted
            self._variants.want(model, wanted, rule=decisions[0].rule)


def _place(ask: Ask) -> tuple[str, bool, bool]:
    """Sort by model, and what somebody waits for before what nobody does."""
    return ask.model, ask.request_class is RequestClass.BACKGROUND, ask.has_consent
