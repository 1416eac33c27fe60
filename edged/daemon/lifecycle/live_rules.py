"""The rules of the lifecycle in force."""

from dataclasses import dataclass

from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules


@dataclass(slots=True, kw_only=True)
class LiveRules:
    """The rules of this device. A reload puts new, complete, immutable values here; nobody keeps a copy across an await."""

    window: WindowRules
    trial: TrialRules
