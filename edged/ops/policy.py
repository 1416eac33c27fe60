"""The policy document: how careful devices are with new versions, and what decides about requests; signed by the ops role. Pure.

About new versions, it adds to what each device is configured with: of two windows both must be open, of two limits the stricter one counts.
So a signed policy can make a device more careful than its administrator did, never less. Its rules about requests are asked after those of
the administrator, who decides what they may do at all: where requests may be offloaded to, and whether.
"""

from typing import Final, Literal

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.codec import Document
from edged.ops.segments import Issued
from edged.policy.document import PolicyFile

MAX_POLICY_BYTES: Final = 1 << 18


class Policy(Document, frozen=True, kw_only=True, omit_defaults=True):
    """``ops/policy.json``."""

    schema: Literal[1]
    issued: Issued
    window: WindowRules = WindowRules()
    shadow: ShadowRules | None = None
    trial: TrialRules | None = None
    rules: PolicyFile | None = None
    """What decides about requests (``edged.policy.combine`` says in which place). An edged that does not know this key refuses the whole
    document, and keeps the one before."""
