"""What a decision costs: one that is made anew, and one that is kept, without a daemon around them."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from edged.policy.ask import Ask
from edged.policy.combine import combine
from edged.policy.document import PolicyFile, Rule, Then
from edged.policy.given import situation_of
from edged.select.check import made_up_variants
from edged.select.decide import decide
from edged.select.decision import Circumstances, Incumbent, Measured

DECISIONS: Final = 20_000
RULES: Final = 12
"""In which a policy of a real device would be long; the last of them applies."""
PRECISIONS: Final = ("fp32", "bf16", "fp16", "int8", "int4")
SITUATION: Final[dict[str, bool | int | float | str]] = {
    "thermal": "fair",
    "power": "battery",
    "battery_percent": 60,
    "link": "wifi",
    "request": "interactive",
}
"""None of the rules but the last one applies, and each has to look at two quantities to find that out."""


def measure_decisions(*, scale: float) -> dict[str, Any]:
    """Measure a decision with many rules and variants.

    Args:
        scale: Of the number of decisions.
    """
    make = _decision()
    times = sorted(_time(make) for _ in range(max(1, round(DECISIONS * scale))))
    return {
        "rules": RULES,
        "variants": len(PRECISIONS) + 1,
        "p50_us": times[len(times) // 2] * 1e6,
        "p99_us": times[len(times) * 99 // 100] * 1e6,
        "allocated_bytes": _allocated_bytes(make),
    }


def print_decisions(results: dict[str, Any]) -> None:
    """Print the row."""
    what = f"decision, {results['rules']} rules, {results['variants']} variants"
    print(
        f"\n{what}: p50 {results['p50_us']:.0f} us, p99 {results['p99_us']:.0f} us, {results['allocated_bytes']} bytes"
    )


def _decision() -> Callable[[], object]:
    hot = [
        Rule(name=f"hot-{i}", when=({"thermal": ">= fair", "battery_percent": f"< {i + 1}"},), then=Then(defer_s=60.0))
        for i in range(RULES - 2)
    ]
    last = Rule(
        name="on-battery", when=({"power": "battery"},), then=Then(variants=("int8", "fp16", "*"), max_latency_ms=50)
    )
    rules = combine(local=PolicyFile(schema=1, name="bench", rules=(*hot, last)))
    every = made_up_variants(PRECISIONS)
    variants = (*every, replace(every[-1], id="m-1.0.0-int8-other"))
    situation = situation_of(SITUATION)
    circumstances = Circumstances(
        now_s=100.0,
        measured={variant.id: Measured(latency_s=0.008) for variant in variants},
        # Another one than the rule wants, so that the dwell time has to be told of as well.
        incumbent=Incumbent(variant=variants[0].id, rank=0, since_s=90.0, dwell_s=30.0),
    )
    ask = Ask(model="m")
    return lambda: decide(situation.context, ask, rules=rules, variants=variants, circumstances=circumstances)


def _time(make: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    make()
    return time.perf_counter() - began_s


def _allocated_bytes(make: Callable[[], object]) -> int:
    """Return the most memory that one decision has at a time, itself included."""
    make()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = make()
        _, peak = tracemalloc.get_traced_memory()
        del kept
        return peak - before
    finally:
        tracemalloc.stop()
