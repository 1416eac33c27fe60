"""The policy document: how careful devices are with new versions, signed by the ops role. Pure.

It adds to what each device is configured with: of two windows both must be open, of two limits the stricter one counts. So a signed
policy can make a device more careful than its administrator did, never less.
"""

from typing import Final, Literal

from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.codec import Document
from edged.ops.segments import Issued

MAX_POLICY_BYTES: Final = 1 << 18


class Policy(Document, frozen=True, kw_only=True, omit_defaults=True):
    """``ops/policy.json``."""

    schema: Literal[1]
    issued: Issued
    window: WindowRules = WindowRules()
    trial: TrialRules | None = None
