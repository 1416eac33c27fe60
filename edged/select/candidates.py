"""Which variants a rule lets answer, in which order, and why not the others. Pure.

In this order:

1. What cannot run here is out, whatever the rule says.
2. What the rule does not name is out; what it names comes in the order of its selectors, and within one in the order of the machine.
3. A variant that takes longer than its manifest promises is passed over for callers who wait, while another is left. The built-in rule
   does not ask: without a policy, a device runs what it ran before there were policies.
4. So is one that takes longer, draws more power, or takes more energy for a run than the rule allows (``edged.select.limits``). What
   was measured here counts; until then what the manifest states. What nobody knows is not taken for little.

When all are over a limit, none is passed over: whichever comes nearest to it goes first.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edged.bundle.manifest import Variant
from edged.policy.document import Then
from edged.select.decision import Circumstances
from edged.select.limits import Limit, limits_of
from edged.select.matcher import Rejected
from edged.select.selectors import is_meant

NOT_NAMED: Final = "the rule does not name it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What may answer by a rule."""

    allowed: tuple[Variant, ...]
    """Best first."""
    rejected: tuple[Rejected, ...]
    """All others, with every reason that was found."""
    notes: tuple[str, ...]
    """What was not as the rule asked for, in words."""


def choose_candidates(
    then: Then, variants: Sequence[Variant], circumstances: Circumstances, *, keeps_promises: bool
) -> Candidates:
    """Sort out which variants may answer.

    Args:
        then: What the rule asks for.
        variants: All there are, best for this machine first.
        circumstances: Of the decision.
        keeps_promises: The latency in a variant's manifest is a limit, too.
    """
    reasons = {variant.id: list(circumstances.unusable.get(variant.id, ())) for variant in variants}
    left = _named(then.variants, variants, reasons)
    left = [variant for variant in left if not reasons[variant.id]]
    notes: list[str] = []
    for limit in limits_of(then, circumstances.measured, keeps_promises=keeps_promises):
        left = _keep_within(limit, left, reasons, notes)
    return Candidates(
        allowed=tuple(left),
        rejected=tuple([Rejected(variant=name, reasons=tuple(why)) for name, why in reasons.items() if why]),
        notes=tuple(notes),
    )


def _named(selectors: Sequence[str], variants: Sequence[Variant], reasons: dict[str, list[str]]) -> Sequence[Variant]:
    if not selectors:
        return variants
    ranks = {
        variant.id: next((rank for rank, selector in enumerate(selectors) if is_meant(variant, selector)), None)
        for variant in variants
    }
    for name, rank in ranks.items():
        if rank is None:
            reasons[name].append(NOT_NAMED)
    return sorted(variants, key=lambda variant: ranks[variant.id] or 0)


def _keep_within(limit: Limit, left: list[Variant], reasons: dict[str, list[str]], notes: list[str]) -> list[Variant]:
    needs = {variant.id: limit.need(variant) for variant in left}
    within = [variant for variant in left if _known(needs[variant.id]) <= limit.most]
    if not within:
        notes += _note(limit, needs.values())
        return sorted(left, key=lambda variant: _known(needs[variant.id]))
    for variant in left:
        if variant not in within:
            reasons[variant.id].append(limit.excess(variant))
    return within


def _note(limit: Limit, needs: Collection[float | None]) -> Iterator[str]:
    """Say that nothing keeps within a limit."""
    if any(need is not None for need in needs):
        yield f"no variant keeps within {limit.words}, so the one that comes nearest goes first"
    elif needs:
        yield f"whether any variant keeps within {limit.words} is not known"


def _known(need: float | None) -> float:
    return math.inf if need is None else need
