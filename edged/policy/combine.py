"""All rules of a device in the order in which they are asked; the first that applies decides. Pure.

(1) override    what an operator asked for on this device, for a while
(2) local       the administrator's file, ``[policy] file``
(3) remote      the fleet's, from the signed policy document
(4) packaged    one of the policies that come with edged, ``[policy] name``
(5) built-in    ``run-best``: always applies, and runs the best variant for this machine

So whoever is nearer to the device is asked first, and each of them may leave cases to those below.
"""

from typing import Final

from edged.policy.compile import compile_policy, compile_rule
from edged.policy.document import PolicyFile, Rule
from edged.policy.ranked import RankedRule

RUN_BEST: Final = Rule(
    name="run-best", description="What no other rule decides: the best variant that this machine can run."
)
DEFAULT_DWELL_S: Final = 30.0


def combine(
    *,
    overrides: tuple[Rule, ...] = (),
    local: PolicyFile | None = None,
    remote: PolicyFile | None = None,
    packaged: PolicyFile | None = None,
) -> tuple[RankedRule, ...]:
    """Return every rule in its place; never empty, and the last one always applies.

    An operator who overrides wants to see it at once, so overrides have no dwell time. The built-in rule has that of the policy before
    it: it is what follows when none of its rules applies any more.
    """
    below = [policy for policy in (local, remote, packaged) if policy is not None]
    dwell_s = below[-1].dwell_s if below else DEFAULT_DWELL_S
    return (
        *(compile_rule(rule, "override", dwell_s=0.0) for rule in overrides),
        *(compile_policy(local, "local") if local is not None else ()),
        *(compile_policy(remote, "remote") if remote is not None else ()),
        *(compile_policy(packaged, "packaged") if packaged is not None else ()),
        compile_rule(RUN_BEST, "built-in", dwell_s=dwell_s),
    )
