"""Rules and circumstances with as much in them as a decision reads; conditions are plain functions."""

from edged.policy.document import Rule, Then
from edged.policy.ranked import RankedRule
from edged.select.decision import Circumstances


def rule(name, *, when=lambda _context, _ask: True, origin="packaged", dwell_s=30.0, **then) -> RankedRule:
    """Make a rule that applies when ``when`` says so."""
    return RankedRule(
        rule=Rule(name=name, then=Then(**then)),
        origin=origin,
        dwell_s=dwell_s,
        applies=lambda context, ask: f"{name} holds" if when(context, ask) else None,
        why_not=lambda context, ask: () if when(context, ask) else (f"{name} does not hold",),
    )


RUN_BEST = rule("run-best", origin="built-in")


def at(now_s=0.0, **others) -> Circumstances:
    """Make circumstances."""
    return Circumstances(now_s=now_s, **others)
