"""What the lifecycle asks others before it acts, and what they may answer: the seams between the parts that decide."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.ids import ModelName, Version
from edged.ops.rollout import RolloutDecision
from edged.ops.stop import StopAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Why a version of a model may not answer."""

    action: StopAction
    reason: str
    since: str
    """As the document says, or when the lease ran out; RFC 3339."""
    source: Literal["stop", "lease"]
    cause: str
    """For the history: ``stop 3f9c0d2e``."""


class Orders(Protocol):
    """What the fleet's documents mean for this device: always the last ones that could be read whole."""

    @property
    def models(self) -> Collection[ModelName]:
        """Models that the rollout names."""
        ...

    @property
    def shadow(self) -> ShadowRules | None:
        """What the policy document asks of shadow runs."""
        ...

    @property
    def trial(self) -> TrialRules | None:
        """What the policy document asks of trials."""
        ...

    def cause_for(self, model: ModelName) -> str:
        """Return what names the version of a model that should run, for the history: ``rollout 3f9c0d2e``."""
        ...

    def decision(self, model: ModelName, *, active: Version | None) -> RolloutDecision | None:
        """Return what the rollout means here; None when it does not name the model."""
        ...

    def floor(self, model: ModelName) -> Version | None:
        """Return the lowest version that may be activated."""
        ...

    def stopped(self, model: ModelName, version: Version) -> Stopped | None:
        """Tell whether a version may not answer, and why."""
        ...


class LiveOrders(Orders, Protocol):
    """Orders that say when they have changed."""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have somebody told whenever anything that can be asked here may have another answer."""
        ...


class QuietWindow(Protocol):
    """Decides when a candidate may disturb the device."""

    def reasons_to_wait(self, model: ModelName, version: Version) -> Sequence[str]:
        """Return what is waited for, in words; empty when the candidate may go on. The wait begins with the first question."""
        ...

    def open_for(self, model: ModelName) -> None:
        """Let the candidate of a model go on whatever the conditions are: an operator said so."""
        ...

    def forget(self, model: ModelName) -> None:
        """Take note that a model's candidate is through, or was given up."""
        ...
