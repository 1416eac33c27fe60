"""A policy as it is written: ordered rules, of which the first that applies counts. Pure.

A rule applies when all conditions of any one of its alternatives hold; one without alternatives always applies. A condition compares a
quantity (``edged.policy.quantities``) with what is written:

    thermal = "serious"            it is that
    thermal = ">= serious"         compared, for what has an order; also <, <=, >
    battery_percent = "< 15"
    link = ["wifi", "ethernet"]    it is one of these
    throttled = true
    hours = ["22:00-05:00"]        the time is within any of these
    metered = "unknown"            nothing is known about it

A condition about a quantity that is not known does not hold, whatever it asks, except for the last one.
"""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document

RULE_NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$(?!\n)"
RuleName = Annotated[
    str,
    msgspec.Meta(
        pattern=RULE_NAME_PATTERN,
        description="a name of lower-case letters, digits and '-', at most 63, the first a letter or digit",
    ),
]
MAX_DEFER_S: Final = 86400
Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)]
Condition = bool | int | float | str | tuple[str, ...]
Alternative = Annotated[dict[str, Condition], msgspec.Meta(min_length=1)]
Selector = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
"""A variant's precision (``int8``), its tier (``speed``), its id or a pattern of it (``*-arm64``); ``*`` is any."""


class Then(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule asks for. At most one of ``deny``, ``defer_s`` and ``offload = "prefer"`` is given."""

    variants: tuple[Selector, ...] = ()
    """In order of preference; variants that none of them names are not used. Empty leaves the order to edged (``edged.select.matcher``)."""
    max_latency_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Variants that take longer here (measured; until then as their manifest says) are passed over while another is left."""
    max_watts: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Likewise, those that draw more above what the device draws while it is idle."""
    max_joules: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """Likewise, those of which one run takes more energy; until that is measured, latency times power of their manifest."""
    scale: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Share of the full resolution, or of the most tokens, that pipelines and callers should use."""
    max_concurrent: Annotated[int, msgspec.Meta(ge=1, le=1024)] | None = None
    """Requests of this class and model that run at a time."""
    max_rate_per_s: Annotated[float, msgspec.Meta(ge=0.001)] | None = None
    """Requests of this class and model that begin in a second, in the long run. Whoever wants none says ``deny`` or ``defer_s``."""
    frequency_share: Annotated[float, msgspec.Meta(ge=0.2, le=1)] | None = None
    """Share of their highest frequency that the processors should not exceed; the lowest of all decisions counts. Without any effect
    until the administrator enables edged-frequency.path."""
    defer_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_DEFER_S)] | None = None
    """Not now: interactive requests are told to come again after so long, background ones are kept until a rule lets them run."""
    offload: Literal["never", "fall-back", "prefer"] = "never"
    """Whether the model's cloud endpoint may answer: when nothing here can, or in the first place. Only with the caller's consent."""
    deny: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    """No answer, and why."""


class Rule(Document, frozen=True, kw_only=True, omit_defaults=True):
    """When, and what then."""

    name: RuleName
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    when: tuple[Alternative, ...] = ()
    then: Then = Then()


class Expect(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a test asks of the decision; what is not given may be anything."""

    rule: RuleName | None = None
    action: Literal["run", "offload", "defer", "deny"] | None = None
    variant: Selector | None = None
    scale: float | None = None
    retry_after_s: float | None = None


class Figures(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What runs of a variant were seen to need; what is not given was not measured."""

    latency_ms: Annotated[float, msgspec.Meta(gt=0)] | None = None
    watts: Annotated[float, msgspec.Meta(ge=0)] | None = None
    joules: Annotated[float, msgspec.Meta(ge=0)] | None = None


class PolicyTest(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One case. ``given`` has quantities by name; those that it leaves out are as on a cool, idle, plugged in, connected device."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    given: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict)
    variants: tuple[str, ...] = ("fp32", "fp16", "int8")
    """Precisions of the made-up model that is decided about: fp32 is of tier quality, int8 of tier memory, others of tier speed. The
    manifest states 100 ms for each, and no power."""
    measured: dict[str, Figures] = msgspec.field(default_factory=dict)
    """What they were seen to need on the device, by precision."""
    expect: Expect


class PolicyFile(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A whole policy."""

    schema: Literal[1]
    name: RuleName
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    dwell_s: Seconds = 30.0
    """How long a variant answers at least before a rule further down may bring another; a rule further up does so at once."""
    rules: Annotated[tuple[Rule, ...], msgspec.Meta(max_length=100)] = msgspec.field(default=(), name="rule")
    tests: Annotated[tuple[PolicyTest, ...], msgspec.Meta(max_length=500)] = msgspec.field(default=(), name="test")
