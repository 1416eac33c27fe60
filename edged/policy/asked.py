"""The rules of a device one by one, and what each of them says of a situation: for people who ask why. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edged.policy.given import Situation
from edged.policy.ranked import RankedRule

Verdict = Literal["decides", "does-not-apply", "not-asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One rule, and whether it decides."""

    ranked: RankedRule
    verdict: Verdict
    why: tuple[str, ...]
    """What made it apply; or what each of its alternatives lacks. Of a rule that is not asked, nothing."""


def ask_rules(rules: Sequence[RankedRule], situation: Situation) -> tuple[Asked, ...]:
    """Ask rules in their order, until one decides; those after it are not asked."""
    return tuple(_asked(rules, situation))


def _asked(rules: Sequence[RankedRule], situation: Situation) -> Iterator[Asked]:
    is_decided = False
    for ranked in rules:
        if is_decided:
            yield Asked(ranked=ranked, verdict="not-asked", why=())
        elif (why := ranked.applies(situation.context, situation.ask)) is not None:
            is_decided = True
            yield Asked(ranked=ranked, verdict="decides", why=(why,))
        else:
            lacks = ranked.why_not(situation.context, situation.ask)
            yield Asked(ranked=ranked, verdict="does-not-apply", why=lacks)
