"""The rules of this device in force."""

from dataclasses import dataclass

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.config.schema import SenseConfig
from edged.select.warm import WarmRules


@dataclass(slots=True, kw_only=True)
class LiveRules:
    """The rules of this device. A reload puts new, complete, immutable values here; nobody keeps a copy across an await."""

    window: WindowRules
    shadow: ShadowRules
    trial: TrialRules
    sense: SenseConfig
    warm: WarmRules
