"""What becomes of a kind of request, and why: the first rule that applies, and what can be done of what it asks for. Pure.

The steps, in order:

(1) rule         the first one that applies, whatever the others say
(2) deny         it ends here
(3) offload      may the model's cloud endpoint answer? Only when all agree: the rule, the administrator (who configures an endpoint and
                 may forbid offloading whatever the policy says), the caller, and a link that is known to be there
(4) defer        nothing runs here; the endpoint answers, if it may, and otherwise the caller is told when to come again
(5) candidates   which variants may answer (``edged.select.candidates``); when there is none, as (4), with a time of edged's own
(6) dwell        a variant stays for a while before a rule further down may bring another. A rule further up does so at once, and what
                 cannot run any more is left at once
(7) run          here, or there where the rule prefers that
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from edged.bundle.manifest import Variant
from edged.policy.ask import Ask
from edged.policy.document import Then
from edged.policy.ranked import RankedRule
from edged.runtime.calls import RequestClass
from edged.select.candidates import Candidates, choose_candidates
from edged.select.decision import Action, Circumstances, Decision, Incumbent
from edged.select.matcher import Rejected
from edged.sense.context import Context, Link

NOTHING_LEFT_RETRY_S: Final = 30.0
"""When a rule leaves nothing that could answer and does not say when to come again: as long as the usual dwell time, after which another
rule may bring another variant."""


def decide(
    context: Context,
    ask: Ask,
    *,
    rules: Sequence[RankedRule],
    variants: Sequence[Variant],
    circumstances: Circumstances,
) -> Decision:
    """Decide what becomes of requests of one kind. The same arguments always give the same decision.

    Args:
        context: The device.
        ask: The kind of request.
        rules: In the order in which they are asked.
        variants: Of the active version, best for this machine first.
        circumstances: Whatever else counts.

    Raises:
        ValueError: No rule applies; a device always has one that does (``edged.daemon.decisions.seams.Policies``).
    """
    rank, ranked, why = _first(context, ask, rules)  # (1)
    then = ranked.rule.then
    makes = partial(
        Decision,
        rule=ranked.rule.name,
        origin=ranked.origin,
        rank=rank,
        scale=then.scale,
        frequency_share=then.frequency_share,
        max_concurrent=then.max_concurrent,
        max_rate_per_s=then.max_rate_per_s,
        log=circumstances.regulatory.logs_decisions,
    )
    applies = f"rule {ranked.rule.name} ({ranked.origin}) applies: {why}"
    if then.deny is not None:  # (2)
        return makes(
            action=Action.DENY,
            denial=then.deny,
            reasons=(applies, then.deny),
            rejected=_reject_all(variants, "the rule denies"),
            incumbent=circumstances.incumbent,
        )
    obstacle = next(_obstacles(context, ask, then, circumstances), None)  # (3)
    if then.defer_s is not None:  # (4)
        candidates = Candidates(allowed=(), rejected=_reject_all(variants, "the rule defers"), notes=())
    else:  # (5)
        keeps_promises = ranked.origin != "built-in" and ask.request_class is RequestClass.INTERACTIVE
        candidates = choose_candidates(then, variants, circumstances, keeps_promises=keeps_promises)
    if not candidates.allowed:
        defers = None if obstacle is None else then.defer_s or NOTHING_LEFT_RETRY_S
        return makes(
            action=Action.OFFLOAD if defers is None else Action.DEFER,
            retry_after_s=defers,
            may_offload=defers is None,
            reasons=(applies, *_why_not_here(then, obstacle)),
            rejected=candidates.rejected,
            incumbent=circumstances.incumbent,
        )
    incumbent = _incumbent(rank, ranked, candidates.allowed[0].id, variants, circumstances)  # (6)
    order, rejected, dwells = _in_order(incumbent, candidates)
    return makes(  # (7)
        action=Action.OFFLOAD if then.offload == "prefer" and obstacle is None else Action.RUN,
        variants=order,
        may_offload=obstacle is None,
        reasons=(applies, *candidates.notes, *dwells, *_why_here(then, obstacle)),
        rejected=rejected,
        incumbent=incumbent,
    )


def _first(context: Context, ask: Ask, rules: Sequence[RankedRule]) -> tuple[int, RankedRule, str]:
    for rank, ranked in enumerate(rules):
        why = ranked.applies(context, ask)
        if why is not None:
            return rank, ranked, why
    raise ValueError("no rule applies, not even the built-in one")


def _obstacles(context: Context, ask: Ask, then: Then, circumstances: Circumstances) -> Iterator[str]:
    """Say why the cloud endpoint may not answer; nothing when it may."""
    if then.offload == "never":
        yield "the rule does not allow to offload"
    if circumstances.regulatory.forbids_offload:
        yield f"the regulatory mode {circumstances.regulatory.name} forbids to offload"
    if not circumstances.has_endpoint:
        yield "there is no cloud endpoint for this model"
    if not ask.has_consent:
        yield "the caller did not consent to offload"
    if context.link.value is None:
        yield f"whether there is a link is not known: {context.link.reason}"
    if context.link.value is Link.OFFLINE:
        yield "there is no link"


def _incumbent(
    rank: int, ranked: RankedRule, first: str, variants: Sequence[Variant], circumstances: Circumstances
) -> Incumbent:
    """Return which variant the model has from now on."""
    incumbent, now_s = circumstances.incumbent, circumstances.now_s
    can_stay = (
        incumbent is not None
        and incumbent.variant not in circumstances.unusable
        and incumbent.variant in {v.id for v in variants}
    )
    if incumbent is None or not can_stay:
        return Incumbent(variant=first, rank=rank, since_s=now_s, dwell_s=ranked.dwell_s)
    if rank >= incumbent.rank and now_s < incumbent.until_s:
        # A milder rule that brings the same variant does not shorten its stay either: otherwise a third one could end it at once.
        return incumbent
    if first == incumbent.variant:
        return replace(incumbent, rank=rank, dwell_s=ranked.dwell_s)
    return Incumbent(variant=first, rank=rank, since_s=now_s, dwell_s=ranked.dwell_s)


def _in_order(
    incumbent: Incumbent, candidates: Candidates
) -> tuple[tuple[str, ...], tuple[Rejected, ...], tuple[str, ...]]:
    """Return the variants that may answer, what is said of each other one, and what is said of the dwell time."""
    allowed = tuple([variant.id for variant in candidates.allowed])
    order = (incumbent.variant, *[name for name in allowed if name != incumbent.variant])
    stays = f"{incumbent.variant} stays for the dwell time of {incumbent.dwell_s:g} s before {allowed[0]} may answer"
    rejected = tuple([item for item in candidates.rejected if item.variant != incumbent.variant])
    later = tuple([Rejected(variant=name, reasons=(f"comes after {order[0]}",)) for name in order[1:]])
    return order, (*later, *rejected), () if incumbent.variant == allowed[0] else (stays,)


def _reject_all(variants: Sequence[Variant], reason: str) -> tuple[Rejected, ...]:
    return tuple([Rejected(variant=variant.id, reasons=(reason,)) for variant in variants])


def _why_not_here(then: Then, obstacle: str | None) -> tuple[str, ...]:
    """Say why nothing runs here, and what came of asking the cloud endpoint."""
    nothing = ("no variant may run",) if then.defer_s is None else ()
    if obstacle is None:
        return (*nothing, "the cloud endpoint answers instead")
    return nothing if then.offload == "never" else (*nothing, obstacle)


def _why_here(then: Then, obstacle: str | None) -> tuple[str, ...]:
    """Say what became of a wish to offload although something could run here."""
    if then.offload != "prefer":
        return ()
    return ("the rule prefers the cloud endpoint",) if obstacle is None else (obstacle,)
