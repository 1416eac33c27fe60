"""What is told of the policy, and what can be asked of it: schema version 1. Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from edged.api.documents.decisions import DecisionStatus
from edged.codec import Document
from edged.ids import MODEL_NAME_PATTERN
from edged.policy.asked import Asked, Verdict
from edged.policy.document import Rule, Then
from edged.policy.override import MAX_OVERRIDE_S
from edged.policy.ranked import Origin, RankedRule

ModelKey = Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]
POLICY_PATH: Final = "/edged/v1/policy"
EXPLAIN_PATH: Final = "/edged/v1/policy/explain"
OVERRIDE_PATH: Final = "/edged/v1/policy/override"
CLEAR_PATH: Final = "/edged/v1/policy/override/clear"


class PolicySourceStatus(Document, frozen=True, kw_only=True):
    """A policy in force, and where it is from."""

    origin: Origin
    name: str
    description: str
    place: str
    """A path, or a document of the fleet as the history names it."""
    dwell_s: float
    rules: int


class RuleStatus(Document, frozen=True, kw_only=True):
    """A rule in its place; the first that applies decides."""

    rank: int
    origin: Origin
    rule: Rule


class OverrideStatus(Document, frozen=True, kw_only=True):
    """What an operator asked for one model, for a while."""

    schema: Literal[1] = 1
    model: str
    then: Then
    by: str
    reason: str
    began: float
    """Unix seconds."""
    until: float
    """Unix seconds; by ``left_s`` where the wall clock is wrong."""
    left_s: float


class RegulatoryStatus(Document, frozen=True, kw_only=True):
    """What the administrator's mode demands, whatever any policy says."""

    mode: str
    forbid_offload: bool
    log_decisions: bool


class PolicyDocument(Document, frozen=True, kw_only=True):
    """All that decides about requests on this device."""

    schema: Literal[1] = 1
    sources: tuple[PolicySourceStatus, ...]
    refused: tuple[str, ...]
    """What is wrong with files that should be in force, and were not taken."""
    rules: tuple[RuleStatus, ...]
    overrides: tuple[OverrideStatus, ...]
    regulatory: RegulatoryStatus
    decisions: tuple[DecisionStatus, ...]
    """What is decided now about each kind of request that there is."""


GivenValue = bool | int | float | str


class ExplainRequest(Document, frozen=True, kw_only=True):
    """A question what would be decided, and why."""

    model: ModelKey | None = None
    """None is for every model."""
    given: Annotated[dict[str, GivenValue], msgspec.Meta(max_length=100)] = msgspec.field(default_factory=dict)
    """Quantities by name that are to be otherwise than they are; those of the request among them."""


class RuleVerdict(Document, frozen=True, kw_only=True):
    """What one rule says."""

    rank: int
    name: str
    origin: Origin
    verdict: Verdict
    why: tuple[str, ...]
    """What made it apply; or what each of its alternatives lacks."""


class Explanation(Document, frozen=True, kw_only=True):
    """What would become of one kind of request."""

    decision: DecisionStatus
    rules: tuple[RuleVerdict, ...]
    """All, in the order in which they are asked."""


class ExplanationDocument(Document, frozen=True, kw_only=True):
    """The answer."""

    schema: Literal[1] = 1
    given: Mapping[str, GivenValue]
    explanations: tuple[Explanation, ...]


class OverrideRequest(Document, frozen=True, kw_only=True):
    """Decide about one model in the policy's place, for a while."""

    model: ModelKey
    then: Then
    for_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_OVERRIDE_S)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """For the device's history."""


class ClearRequest(Document, frozen=True, kw_only=True):
    """End overrides before their time."""

    model: ModelKey | None = None
    """None is for all of them."""


class OverridesDocument(Document, frozen=True, kw_only=True):
    """The overrides that were ended."""

    schema: Literal[1] = 1
    overrides: tuple[OverrideStatus, ...]


def describe_rules(rules: Sequence[RankedRule]) -> tuple[RuleStatus, ...]:
    """Describe rules in their order."""
    return tuple(RuleStatus(rank=rank, origin=ranked.origin, rule=ranked.rule) for rank, ranked in enumerate(rules))


def describe_verdicts(asked: Sequence[Asked]) -> tuple[RuleVerdict, ...]:
    """Describe what each rule says."""
    return tuple(
        RuleVerdict(
            rank=rank, name=item.ranked.rule.name, origin=item.ranked.origin, verdict=item.verdict, why=item.why
        )
        for rank, item in enumerate(asked)
    )
