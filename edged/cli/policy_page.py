"""The policy for people: what is in force, what it decides, and why. Pure.

A rule takes a line: its place, whose it is, its name, when it applies, and what it asks for behind an arrow.
"""

from collections.abc import Iterator, Sequence

from edged.api.documents.decisions import DecisionStatus
from edged.api.documents.policy import (
    Explanation,
    ExplanationDocument,
    OverrideStatus,
    PolicyDocument,
    PolicySourceStatus,
    RuleStatus,
    RuleVerdict,
)
from edged.cli.table import align, printable
from edged.cli.words import count, duration
from edged.policy.document import Alternative, Condition, Then
from edged.policy.override import then_text

_MARKS = {"decides": "=>", "does-not-apply": "no", "not-asked": ""}


def render_policy(policy: PolicyDocument) -> str:
    """Lay out what is in force."""
    parts = [
        ("Policies, in the order in which they are asked:", align(_sources(policy.sources), indent="  ")),
        ("Rules; the first that applies decides:", align(_rules(policy.rules), indent="  ")),
        ("Decided now:", align(_decisions(policy.decisions), indent="  ")),
    ]
    if policy.overrides:
        parts.insert(1, ("Overrides:", align([_override(item) for item in policy.overrides], indent="  ")))
    if policy.refused:
        refused = "".join(f"  {printable(line)}\n" for line in policy.refused)
        parts.insert(1, ("Refused, so that the last good one stays in force:", refused))
    if not policy.decisions:
        parts[-1] = ("Decided now:", "  nothing: no model has an active version\n")
    regulatory = policy.regulatory
    demands = [
        text
        for text, is_demanded in (
            ("no request leaves the device", regulatory.forbid_offload),
            ("each change of a decision is in the journal", regulatory.log_decisions),
        )
        if is_demanded
    ]
    mode = f"Regulatory mode: {regulatory.mode}" + (f" ({'; '.join(demands)})" if demands else "")
    return "\n".join([*(f"{title}\n{body}" for title, body in parts), f"{mode}\n"])


def render_explanations(document: ExplanationDocument) -> str:
    """Lay out what would be decided, and why."""
    if not document.explanations:
        return "No model has an active version.\n"
    return "\n".join(_explanation(item) for item in document.explanations)


def decision_text(status: DecisionStatus) -> str:
    """Say in a few words what becomes of requests."""
    variant = status.precision or status.variant
    # What an endpoint does not answer, the device does.
    what = (
        status.action
        if variant is None
        else f"{status.action}{', else' if status.action == 'offload' else ''} {variant}"
    )
    details = [
        text
        for text, is_said in (
            (f"scale {status.scale:g}", status.scale != 1.0),
            (f"again after {status.retry_after_s or 0:g} s", status.retry_after_s is not None),
            (f"processors at {100 * (status.frequency_share or 1):g} %", status.frequency_share is not None),
            (f"{status.max_concurrent} at a time", status.max_concurrent is not None),
            (f"{status.max_rate_per_s or 0:g} a second", status.max_rate_per_s is not None),
            ("the cloud may answer", status.may_offload and status.action == "run"),
        )
        if is_said
    ]
    return ", ".join([what, *details])


def then_words(then: Then) -> str:
    """Say all that a rule asks for."""
    words = [then_text(then)]
    words += [f"scale {then.scale:g}"] if then.scale != 1.0 else []
    words += [f"offload {then.offload}"] if then.offload != "never" else []
    words += [
        f"{name} {value:g}"
        for name, value in (
            ("max_latency_ms", then.max_latency_ms),
            ("max_watts", then.max_watts),
            ("max_joules", then.max_joules),
            ("max_concurrent", then.max_concurrent),
            ("max_rate_per_s", then.max_rate_per_s),
            ("frequency_share", then.frequency_share),
        )
        if value is not None
    ]
    return ", ".join(words)


def _sources(sources: Sequence[PolicySourceStatus]) -> list[tuple[str, ...]]:
    rows = [(item.origin, item.name, count(item.rules, "rule"), item.place) for item in sources]
    return [tuple(map(printable, row)) for row in [*rows, ("built-in", "run-best", "1 rule", "edged itself")]]


def _override(item: OverrideStatus) -> tuple[str, ...]:
    left = f"for another {duration(item.left_s)}"
    return tuple(map(printable, (item.model, then_text(item.then), left, f"{item.by}: {item.reason}")))


def _rules(rules: Sequence[RuleStatus]) -> list[tuple[str, ...]]:
    return [
        tuple(
            map(
                printable,
                (
                    str(item.rank),
                    item.origin,
                    item.rule.name,
                    f"{_when(item.rule.when)} -> {then_words(item.rule.then)}",
                ),
            )
        )
        for item in rules
    ]


def _when(alternatives: Sequence[Alternative]) -> str:
    texts = [", ".join(f"{name} {_condition(value)}" for name, value in case.items()) for case in alternatives]
    return "; or ".join(texts) or "always"


def _condition(value: Condition) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " or ".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _decisions(decisions: Sequence[DecisionStatus]) -> list[tuple[str, ...]]:
    return [
        tuple(map(printable, (item.model, _kind(item), decision_text(item), f"by {item.rule} ({item.origin})")))
        for item in decisions
    ]


def _kind(status: DecisionStatus) -> str:
    return f"{status.request}, with consent" if status.consent else status.request


def _explanation(item: Explanation) -> str:
    decision = item.decision
    lines = [f"{decision.model}, {_kind(decision)}: {decision_text(decision)}"]
    lines += [f"  {reason}" for reason in decision.reasons]
    text = "".join(f"{printable(line)}\n" for line in lines)
    if decision.rejected:
        rows = [(one.variant, "; ".join(one.reasons)) for one in decision.rejected]
        text += "  other variants:\n" + align([tuple(map(printable, row)) for row in rows], indent="    ")
    return text + "  rules:\n" + align(list(_verdicts(item.rules)), indent="    ")


def _verdicts(rules: Sequence[RuleVerdict]) -> Iterator[tuple[str, ...]]:
    for rule in rules:
        why = "; or ".join(dict.fromkeys(rule.why)) if rule.verdict != "not-asked" else "not asked"
        yield tuple(map(printable, (_MARKS[rule.verdict], rule.origin, rule.name, why)))
