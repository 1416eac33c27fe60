"""Has every request decided, and does what was decided. Fulfils ``edged.api.ports.Models``.

What goes before any decision: a model that is not there, is stopped, or has a stand-in (``edged.daemon.serving.lineup``). Otherwise:

- RUN      the best of the decided variants that is loaded answers. While none of them is, the one that answers by itself goes on, so that
           no request is lost by a switch; but not one that cannot be used. Where nothing here can take it and the rule lets it, the cloud
           endpoint does.
- OFFLOAD  the cloud endpoint answers; when it fails, and something here may run, that does.
- DEFER    whoever waits is told when to come again; background work is kept until it may run (``edged.daemon.decisions.holding``).
- DENY     refused, with the reason of the rule.

A rule's limits count what runs here (``edged.daemon.decisions.limits``): one request more is refused, and background work is kept.

An answer says which rule decided, the built-in one included; unless a stand-in gave it, which no rule decides about.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, assert_never

from edged.api.ports import ModelView, Taken
from edged.daemon.cache.cache import Cache, Found
from edged.daemon.decisions.limits import DecidedLimits
from edged.daemon.decisions.outing import Outing, Outings
from edged.daemon.decisions.scaling import used_scale
from edged.daemon.decisions.seams import Decides, Endpoint, Holds, Variants
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.errors import (
    DeferredError,
    EdgedError,
    PolicyDeniedError,
    PolicyLimitError,
    UnavailableError,
)
from edged.ids import ModelName
from edged.policy.ask import Ask
from edged.runtime.calls import Call, Request, RequestClass, Segment
from edged.select.decision import Action, Decision

NOTHING: Final = Found()
CLOUD: Final = "cloud"
"""What is said to be the variant where the cloud endpoint answers."""
LOADING_RETRY_S: Final = 2
UNABLE_RETRY_S: Final = 5


class DecidedModels:
    """The models of this device, by policy.

    Args:
        serving: Has them.
        variants: Of their active versions.
        decides: About kinds of requests.
        endpoint: Where requests are offloaded to.
        holds: Keeps background work that may not run yet.
        run_s: Called for the longest that a request may take which is not kept; seconds.
        cache: Knows answers already; None knows none.
    """

    def __init__(
        self,
        *,
        serving: Serving,
        variants: Variants,
        decides: Decides,
        endpoint: Endpoint,
        holds: Holds,
        run_s: Callable[[], float],
        cache: Cache | None = None,
    ) -> None:
        self._serving = serving
        self._variants = variants
        self._decides = decides
        self._endpoint = endpoint
        self._holds = holds
        self._run_s = run_s
        self._cache = cache
        self._loop = asyncio.get_running_loop()
        self._limits = DecidedLimits(self._loop.time)
        self._outings = Outings()
        serving.on_stop(self._outings.stop)
        self.counts: Final[Counter[tuple[str, RequestClass, Action]]] = Counter()
        """Requests that were decided about, by model and by what was decided."""

    def views(self) -> Sequence[ModelView]:
        """Return every model with an active version; see ``Models``."""
        return self._serving.views()

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model; see ``Models``."""
        return self._serving.view(name, version)

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        """Take memory for the body of a request; see ``Models``."""
        return self._serving.take_memory(name, size_bytes)

    def submit(self, name: str, version: str | None, call: Call) -> Taken:
        """Take a request; see ``Models``."""
        request = call.request
        ask = Ask(model=name, request_class=request.request_class, has_consent=request.has_consent)
        decision = self._decides.decide(ask)
        if decision.action is not Action.RUN and not self._is_decided(name):
            return Taken(model=self._serving.submit(name, version, call))
        self.counts[name, request.request_class, decision.action] += 1
        if request.request_class is RequestClass.BACKGROUND and self._may_wait(ask, decision, request):
            taken = Taken(model=self._serving.view(name, version), decision=decision)
            self._holds.keep(ask, call, go_on=partial(self._go_on, ask, version, taken))
            return taken
        return self._do(ask, decision, version, call)

    def answering(self, name: str, version: str | None, request_class: RequestClass) -> tuple[ModelView, Served]:
        """Return what answers requests of a kind now that do not come one by one, with its workers.

        Raises:
            EdgedError: As ``edged.daemon.serving.serving.Serving.answering``.
            DeferredError: A rule lets nothing run here now.
            PolicyDeniedError: A rule denies.
        """
        decision = self._decides.decide(Ask(model=name, request_class=request_class))
        if decision.action is not Action.RUN and self._is_decided(name):
            raise self._refusal(name, decision)
        return self._serving.answering(name, version, self._choose(name, decision) if self._is_decided(name) else "")

    def scale(self, name: str, request_class: RequestClass) -> float:
        """Return the share of the full size that is asked for of requests of a kind that do not come one by one."""
        decision = self._decides.decide(Ask(model=name, request_class=request_class))
        return decision.scale if self._is_decided(name) else 1.0

    def limiting(self, name: str, request_class: RequestClass) -> Decision | None:
        """Return the decision about requests that do not come one by one, where it limits how many of them begin."""
        decision = self._decides.decide(Ask(model=name, request_class=request_class))
        return decision if _is_limited(decision) and self._is_decided(name) else None

    def _do(self, ask: Ask, decision: Decision, version: str | None, call: Call) -> Taken:
        match decision.action:
            case Action.RUN:
                return self._run(ask, decision, version, call)
            case Action.OFFLOAD:
                return self._offload(ask, decision, version, call)
            case Action.DEFER | Action.DENY:
                raise self._refusal(ask.model, decision)
            case _:
                assert_never(decision.action)

    def _run(self, ask: Ask, decision: Decision, version: str | None, call: Call) -> Taken:
        try:
            is_full = decision.scale == call.request.scale == 1.0
            scale = None if is_full else self._scale(ask.model, decision, version, call)
            found = self._find_known(ask, decision, version, call)
            view = found.view or self._submit(ask, decision, version, call)
        except UnavailableError:
            if not decision.may_offload or not self._is_decided(ask.model):
                raise
            return self._offload(ask, replace(decision, variants=()), version, call)
        if found.learn is not None:
            call.show(found.learn)
        if view.fallback is not None:
            return Taken(model=view)
        return Taken(model=view, decision=decision, scale=scale, is_cached=found.view is not None)

    def _find_known(self, ask: Ask, decision: Decision, version: str | None, call: Call) -> Found:
        """Answer a request with what is known already, or have it make use of that."""
        cache = self._cache
        if cache is None or not cache.may_know(ask.model, call.request) or not self._is_decided(ask.model):
            return NOTHING
        return cache.answer(ask.model, version, self._choose(ask.model, decision), call)

    def _scale(self, model: str, decision: Decision, version: str | None, call: Call) -> float | None:
        """Have a request answered at the scale that is decided now; returns which that is, and None where nothing is asked for."""
        asked = decision.scale if self._is_decided(model) else 1.0
        scale = used_scale(asked, call.request, self._serving.view(model, version))
        call.request = replace(call.request, scale=scale)
        return None if asked == 1.0 else scale

    def _submit(self, ask: Ask, decision: Decision, version: str | None, call: Call) -> ModelView:
        """Have the chosen variant take a request, within the limits of the rule."""
        give_back = self._take_place(ask, decision) if _is_limited(decision) and self._is_decided(ask.model) else None
        try:
            view = self._variants.submit(ask.model, version, self._choose(ask.model, decision), call)
        except BaseException:
            if give_back is not None:
                give_back()
            raise
        if give_back is not None:
            call.also(give_back)
        return view

    def _take_place(self, ask: Ask, decision: Decision) -> Callable[[], None]:
        try:
            return self._limits.take(ask, decision)
        except PolicyLimitError:
            stats = self._serving.stats(ask.model)
            # A background request is not refused for this.
            if stats is not None and ask.request_class is RequestClass.INTERACTIVE:
                stats.rejected("limited")
            raise

    def _choose(self, model: str, decision: Decision) -> str:
        """Return the variant that a request goes to.

        Raises:
            UnavailableError: None of those that may answer is loaded, and the one that is cannot be used.
        """
        loaded = self._variants.loaded(model)
        for variant in decision.variants:
            if variant in loaded:
                return variant
        if loaded and loaded[0] in self._variants.unusable(model):
            raise UnavailableError(
                f"variant {decision.variant} of model {model} is being loaded, and {loaded[0]} cannot be used",
                hint="Try again in a moment.",
                retry_after_s=LOADING_RETRY_S,
            )
        return decision.variants[0]

    def _offload(self, ask: Ask, decision: Decision, version: str | None, call: Call) -> Taken:
        view = replace(self._serving.view(ask.model, version), variant=CLOUD)
        taken = Taken(model=view, decision=decision, is_offloaded=True)
        run_here = partial(self._run_here, ask, version, call) if decision.variants else None
        outing = Outing(call, taken, run_here=run_here)
        self._outings.begin(ask.model, outing, call, partial(self._endpoint.submit, ask.model))
        return taken

    def _run_here(self, ask: Ask, version: str | None, call: Call) -> Taken:
        """Have the device answer what came back unanswered, by what is decided now: it may have been out for long."""
        decision = self._decides.decide(ask)
        if not self._is_decided(ask.model):
            return Taken(model=self._serving.submit(ask.model, version, call))
        if not decision.variants:
            raise self._refusal(ask.model, decision)
        # It does not go out a second time.
        return self._run(ask, replace(decision, may_offload=False), version, call)

    def _may_wait(self, ask: Ask, decision: Decision, request: Request) -> bool:
        """Tell whether a background request is one that is kept until it may run: by what is decided, or by the time that it has."""
        return decision.action is not Action.DENY and (
            decision.action is Action.DEFER
            or _is_limited(decision)
            or self._holds.has(ask)
            or request.deadline_s > self._loop.time() + self._run_s()
        )

    def _go_on(self, ask: Ask, version: str | None, taken: Taken, call: Call) -> None:
        """Do what is decided now about a call that may wait.

        Raises:
            UnavailableError: Nothing may run, or there is no room.
            EdgedError: It will never run.
        """
        decision = self._decides.decide(ask)
        if decision.action is not Action.RUN and not self._is_decided(ask.model):
            now = Taken(model=self._serving.submit(ask.model, version, call))
        elif decision.action is Action.DEFER:
            # It is not refused, so it is not counted as that.
            raise self._deferral(ask.model, decision)
        else:
            now = self._do(ask, decision, version, call)
        taken.model, taken.decision, taken.is_offloaded = now.model, now.decision, now.is_offloaded
        taken.scale, taken.is_cached = now.scale, now.is_cached

    def _is_decided(self, model: str) -> bool:
        """Tell whether it is for policy to say what becomes of a model's requests."""
        name, serving = ModelName(model), self._serving
        return name in serving.served and name not in serving.stand_ins and not serving.is_held(name)

    def _refusal(self, model: str, decision: Decision) -> EdgedError:
        stats = self._serving.stats(model)
        if stats is not None:
            is_unable = decision.origin == "built-in"
            stats.rejected("denied" if decision.action is Action.DENY else "no-worker" if is_unable else "deferred")
        if decision.action is Action.DENY:
            return PolicyDeniedError(
                f"model {model} does not answer such requests: {decision.denial}",
                rule=decision.rule,
                hint=f"{_origin(decision)} says so.",
            )
        return self._deferral(model, decision)

    def _deferral(self, model: str, decision: Decision) -> UnavailableError:
        if decision.origin == "built-in":
            # No policy is behind it: that rule defers only what cannot run at all.
            unusable = self._variants.unusable(model).items()
            why = "; ".join(f"variant {variant}: {', '.join(reasons)}" for variant, reasons in unusable)
            return UnavailableError(f"nothing of model {model} can run now: {why}", retry_after_s=UNABLE_RETRY_S)
        is_override = decision.origin == "override"
        why = "an operator's override lets it wait" if is_override else "; ".join(decision.reasons)
        return DeferredError(
            f"nothing of model {model} runs now: {why}",
            rule=decision.rule,
            retry_after_s=math.ceil(decision.retry_after_s or 1.0),
            hint="Ask again after that time. Background requests are kept until they may run.",
        )


def _origin(decision: Decision) -> str:
    if decision.origin == "override":
        return "An operator's override (edgectl policy show)"
    return f"Rule {decision.rule} of the device's policy ({decision.origin})"


def _is_limited(decision: Decision) -> bool:
    return decision.max_concurrent is not None or decision.max_rate_per_s is not None
