"""The orders of a daemon that a developer runs: the fleet's, and beside them which version of each model of their own runs.

1. A model of one's own has the version that the document names, whatever a rollout says of its name; that it does so is said once.
2. Stops and floors of the fleet hold for every name, also for those.
3. Everything else is the fleet's.
"""

import logging
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.daemon.fleet.directory_watch import DirectoryWatch
from edged.daemon.lifecycle.advice import LiveOrders, Stopped
from edged.dev.local.document import LocalModels, read_models
from edged.errors import EdgedError
from edged.ids import ModelName, Version
from edged.ops.rollout import RolloutDecision

LOG = logging.getLogger(__name__)


class LocalOrders:
    """Fulfils ``edged.daemon.lifecycle.advice.LiveOrders``. A context manager: the document is watched while it is entered.

    Args:
        fleet: What is asked about everything else.
        path: The document.
    """

    def __init__(self, fleet: LiveOrders, path: Path) -> None:
        self._fleet = fleet
        self._path = path
        self._listeners: list[Callable[[], None]] = []
        self._document = LocalModels(models={})
        self._warned: set[ModelName] = set()
        self._watch = DirectoryWatch(path.parent, self.look)

    def __enter__(self) -> Self:
        self._watch.__enter__()
        self.look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.__exit__(kind, error, trace)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have somebody told whenever anything that can be asked here may have another answer."""
        self._listeners.append(listener)
        self._fleet.on_change(listener)

    @property
    def models(self) -> Collection[ModelName]:
        """Models that the rollout or the document names."""
        return {*self._fleet.models, *map(ModelName, self._document.models)}

    @property
    def shadow(self) -> ShadowRules | None:
        """What the policy document asks of shadow runs."""
        return self._fleet.shadow

    @property
    def trial(self) -> TrialRules | None:
        """What the policy document asks of trials."""
        return self._fleet.trial

    def cause_for(self, model: ModelName) -> str:
        """Return what names the version of a model, for the history."""
        return "local file" if model in self._document.models else self._fleet.cause_for(model)

    def decision(self, model: ModelName, *, active: Version | None) -> RolloutDecision | None:
        """Return what should run of a model; None when nobody names it."""
        local = self._document.models.get(model)
        decision = self._fleet.decision(model, active=active)
        if local is None:
            return decision
        if decision is not None and model not in self._warned:
            self._warned.add(model)
            LOG.warning("The repository has a model %s, too; the one that answers is that of %s", model, local.source)
        run = Version.parse(local.version)
        return RolloutDecision(run=run, bring=(run,), rule="local", reason=f"unsigned, made of {local.source}")

    def floor(self, model: ModelName) -> Version | None:
        """Return the lowest version that may be activated."""
        return self._fleet.floor(model)

    def stopped(self, model: ModelName, version: Version) -> Stopped | None:
        """Tell whether a version may not answer, and why."""
        return self._fleet.stopped(model, version)

    def look(self) -> None:
        """Read the document; whoever listens has been told of what is new when this returns."""
        try:
            document = read_models(self._path)
        except FileNotFoundError:
            return
        except (EdgedError, OSError) as exc:
            LOG.warning("%s", exc)
            return
        if document != self._document:
            self._document = document
            for listener in self._listeners:
                listener()
