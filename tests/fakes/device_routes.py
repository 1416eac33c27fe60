"""The routes by which apps learn of the device and speak of models, over a device that a test makes up."""

from collections.abc import Sequence

from aiohttp import web

from edged.api.documents.decisions import DecisionChange, describe_decision
from edged.api.endpoints.accuracy import AccuracyRoutes
from edged.api.endpoints.budget import BudgetRoutes
from edged.api.endpoints.context import ContextRoutes
from edged.api.endpoints.decisions import DecisionRoutes
from edged.api.endpoints.events import EventStreams
from edged.api.event_log import Events
from edged.api.ports import AccuracyHints
from edged.policy.ask import Ask
from edged.select.decision import Action, Decision
from edged.select.matcher import Rejected
from tests.fakes.budgets import FakeBudgets
from tests.fakes.contexts import FakeContexts
from tests.fakes.fake_models import FakeModels


class FakeHints:
    """Fulfils ``edged.api.ports.AccuracyHints``."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, float, int]] = []

    def say(self, model: str, accuracy: str, *, for_s: float, uid: int) -> None:
        self.said.append((model, accuracy, for_s, uid))


class FakeDecisions:
    """Fulfils ``edged.api.ports.DecisionSource``: one kind of request, about which one thing was decided."""

    def __init__(self) -> None:
        rejected = (Rejected(variant="echo-fp32", reasons=("the rule does not name it",)),)
        decision = Decision(
            action=Action.RUN, rule="hot", origin="local", rank=0, variants=("echo-int8",), rejected=rejected
        )
        self.decisions = (describe_decision(Ask(model="echo"), decision, precision="int8"),)
        self.recent = (DecisionChange(at=1_700_000_000.0, decision=self.decisions[0]),)


def device_routes(
    *, contexts: FakeContexts | None = None, events: Events | None = None, hints: AccuracyHints | None = None
) -> Sequence[web.RouteDef]:
    """Return what every socket has beside models, statuses and flags."""
    return [
        *BudgetRoutes(FakeBudgets()).routes(),
        *DecisionRoutes(FakeDecisions()).routes(),
        *ContextRoutes(contexts or FakeContexts()).routes(),
        *EventStreams(events or Events(epoch="a1")).routes(),
        *AccuracyRoutes(models=FakeModels(), hints=hints or FakeHints()).routes(),
    ]
