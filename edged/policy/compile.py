"""Rules made ready to be asked. Pure.

A rule is asked for every decision that is not kept already, so conditions are closures that compare and nothing else; words are made for
the one rule that applies, and for explanations.
"""

from typing import Final

from edged.policy.ask import Ask
from edged.policy.conditions import Compiled, compile_condition
from edged.policy.document import PolicyFile, Rule
from edged.policy.ranked import Origin, RankedRule
from edged.sense.context import Context

ALWAYS: Final = "it has no conditions"


def compile_policy(policy: PolicyFile, origin: Origin) -> tuple[RankedRule, ...]:
    """Make the rules of a policy ready, in their order.

    Args:
        policy: One in which ``edged.policy.faults`` finds nothing.
        origin: Whose it is.
    """
    return tuple(compile_rule(rule, origin, dwell_s=policy.dwell_s) for rule in policy.rules)


def compile_rule(rule: Rule, origin: Origin, *, dwell_s: float) -> RankedRule:
    """Make one rule ready.

    Args:
        rule: Whose conditions are right.
        origin: Whose it is.
        dwell_s: Of its policy.
    """
    alternatives = tuple(
        tuple(compile_condition(name, condition) for name, condition in alternative.items())
        for alternative in rule.when
    )
    if not alternatives:
        return RankedRule(rule=rule, origin=origin, dwell_s=dwell_s, applies=_always, why_not=_never)

    def applies(context: Context, ask: Ask) -> str | None:
        for conditions in alternatives:
            for condition in conditions:
                if not condition.holds(context, ask):
                    break
            else:
                return ", ".join(condition.says(context, ask) for condition in conditions)
        return None

    def why_not(context: Context, ask: Ask) -> tuple[str, ...]:
        return tuple(_lacking(conditions, context, ask) for conditions in alternatives)

    return RankedRule(rule=rule, origin=origin, dwell_s=dwell_s, applies=applies, why_not=why_not)


def _always(_context: Context, _ask: Ask) -> str:
    return ALWAYS


def _never(_context: Context, _ask: Ask) -> tuple[str, ...]:
    return ()


def _lacking(conditions: tuple[Compiled, ...], context: Context, ask: Ask) -> str:
    return ", ".join(condition.says(context, ask) for condition in conditions if not condition.holds(context, ask))
