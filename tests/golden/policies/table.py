"""What each packaged policy decides in every combination of what policies ask about most: one line a combination."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from edged.policy.combine import combine
from edged.policy.given import situation_of
from edged.policy.parse import parse_policy
from edged.select.check import made_up_variants
from edged.select.decide import decide
from edged.select.decision import Circumstances

HERE = Path(__file__).resolve().parent
POLICIES = HERE.parents[2] / "policies"
VARIANTS = made_up_variants(("fp32", "fp16", "int8"))

AXES = {
    "thermal": ("nominal", "fair", "serious", "critical", "unknown"),
    "power": ("mains", "battery:80", "battery:25", "battery:10", "battery:3", "unknown"),
    "request": ("interactive", "background"),
}
FURTHER = {
    "battery": {"consent": ("false", "true")},
    "driver-assist": {"model": ("wake-word", "lane")},
    "gauge-gateway": {"accuracy": ("ok", "degraded")},
    "summarizer": {"consent": ("false", "true")},
}
"""What only some policies ask about."""


def names() -> list[str]:
    """Return the names of all packaged policies."""
    return sorted(path.stem for path in POLICIES.glob("*.toml"))


def lines_of(name: str) -> Iterator[str]:
    """Return the table of a policy; on Wi-Fi, so that consent means something."""
    policy = parse_policy((POLICIES / f"{name}.toml").read_bytes(), source=name)
    rules = combine(packaged=policy)
    axes = {**FURTHER.get(name, {}), **AXES}
    for values in product(*axes.values()):
        given = dict(zip(axes, values, strict=True))
        situation = situation_of({"link": "wifi", **given})
        decision = decide(
            situation.context,
            situation.ask,
            rules=rules,
            variants=VARIANTS,
            circumstances=Circumstances(now_s=0.0, has_endpoint=True),
        )
        precision = next((variant.precision for variant in VARIANTS if variant.id == decision.variant), "")
        what = " ".join(part for part in (decision.action.value, precision) if part)
        scale = "" if decision.scale == 1.0 else f", scale {decision.scale:g}"
        later = "" if decision.retry_after_s is None else f", again after {decision.retry_after_s:g} s"
        where = " ".join(f"{key}={value}" for key, value in given.items())
        yield f"{where}: {what}{scale}{later}, by {decision.rule}"


def file_of(name: str) -> Path:
    """Return where the table of a policy is kept."""
    return HERE / f"{name}.txt"
