"""All that decides, put together: what the daemon's root builds once the device, its rules and its models are there."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager

from aiohttp import web

from edged.api.documents.background import BackgroundStatus
from edged.api.documents.decisions import DecisionChange, DecisionStatus
from edged.api.endpoints.decisions import DecisionRoutes
from edged.api.event_log import Events
from edged.api.limits import LiveLimits
from edged.api.metrics.background import add_background
from edged.api.metrics.cache import add_cache
from edged.api.metrics.decisions import add_decisions
from edged.clock import Clock
from edged.daemon.cache.cache import Cache
from edged.daemon.decisions.decided_models import DecidedModels
from edged.daemon.decisions.decider import Decider
from edged.daemon.decisions.decision_log import DecisionLog
from edged.daemon.decisions.holding import Holding
from edged.daemon.decisions.seams import Accuracy, Contexts, Endpoint, Policies, Variants
from edged.daemon.serving.serving import Serving
from edged.telemetry.exposition import Exposition


class Decisions:
    """What is decided, for those who want to know. Fulfils ``edged.api.ports.DecisionSource``.

    Args:
        decider: Keeps the decisions.
        log: Remembers what changed.
        models: Do what was decided.
        holding: Keeps what was deferred.
        cache: Knows answers already.
    """

    def __init__(
        self, decider: Decider, log: DecisionLog, models: DecidedModels, holding: Holding, cache: Cache
    ) -> None:
        self.decider = decider
        self.models = models
        self.holding = holding
        self._cache = cache
        self._log = log

    @property
    def decisions(self) -> tuple[DecisionStatus, ...]:
        """What becomes of every kind of request now."""
        return self._log.describe(self.decider.decisions)

    def of(self, model: str) -> DecisionStatus | None:
        """Return what becomes of requests for a model that somebody waits for; None where there is none."""
        return next((item for item in self.decisions if (item.model, item.request) == (model, "interactive")), None)

    def kept(self, model: str) -> BackgroundStatus | None:
        """Return the background work of a model that is kept; None where there never was any."""
        return self.holding.work().get(model)

    @property
    def recent(self) -> tuple[DecisionChange, ...]:
        """What changed lately."""
        return self._log.recent

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return DecisionRoutes(self).routes()

    def add_metrics(self, text: Exposition) -> None:
        """Add the metrics."""
        add_decisions(text, self.decisions, self.models.counts)
        add_background(text, self.holding.work())
        add_cache(text, self._cache.sizes)


@contextmanager
def decisions(
    *,
    serving: Serving,
    contexts: Contexts,
    policies: Policies,
    variants: Variants,
    accuracy: Accuracy,
    endpoint: Endpoint,
    limits: LiveLimits,
    clock: Clock,
    events: Events,
) -> Iterator[Decisions]:
    """Decide from now on, until this is left.

    Args:
        serving: Has the models.
        contexts: The device.
        policies: The rules in force.
        variants: Of the models.
        accuracy: Of their answers.
        endpoint: Where requests are offloaded to.
        limits: In force: of background work, and of the time that requests have.
        clock: For the times of changes.
        events: Are told of changes.
    """
    log = DecisionLog(
        clock,
        precision=lambda model, id_: next((v.precision for v in variants.known(model) if v.id == id_), None),
        publish=lambda change: events.publish("decision", change),
        later=asyncio.get_running_loop().call_later,
    )
    decider = Decider(
        contexts=contexts,
        policies=policies,
        variants=variants,
        accuracy=accuracy,
        endpoint=endpoint,
        noted=log.note,
    )
    holding = Holding(rules=lambda: limits.background, run_s=lambda: limits.current.request_timeout_s)
    cache = Cache(
        serving,
        lambda: limits.cache,
        usable=lambda model: len(variants.known(model)) - len(variants.unusable(model)),
    )
    with closing(decider), closing(holding):
        decider.on_change(holding.wake)
        serving.on_change(lambda _model: holding.wake())
        models = DecidedModels(
            serving=serving,
            variants=variants,
            decides=decider,
            endpoint=endpoint,
            holds=holding,
            run_s=lambda: limits.current.request_timeout_s,
            cache=cache,
        )
        yield Decisions(decider, log, models, holding, cache)
