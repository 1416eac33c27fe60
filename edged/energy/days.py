"""What was spent on each of the last days, by model: a document that is changed by pure functions. Days are those of UTC.

``KEPT_DAYS`` days are kept, and on each of them ``MOST_MODELS`` models with ``MOST_VARIANTS`` variants, so that it stays small whatever
happens. What comes beyond that is counted for the device alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.energy.attribution import Cost, Interval, Key

KEPT_DAYS: Final = 30
MOST_MODELS: Final = 64
MOST_VARIANTS: Final = 16
FEWEST_RUNS: Final = 20
"""Fewer measured runs say nothing about one."""
RECENT_DAYS: Final = 7
"""What was measured longer ago says little about a device as it is, and what has been passed over since is measured anew."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class VariantSpent(Document, frozen=True, kw_only=True):
    """What the runs of a variant took."""

    runs: Count = 0
    """Requests that shared a run count as one."""
    run_s: Amount = 0.0
    measured_runs: Count = 0
    """Those of them whose energy is known."""
    measured_run_s: Amount | None = None
    """Their time. None where there are none, and where some were measured by an edged that did not write it down."""
    joules: Amount = 0.0
    """Of the measured runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnergy:
    """What one run of a variant takes, on average over many."""

    joules: float
    watts: float
    """What the device draws more than idle while it is under way."""


class ModelSpent(Document, frozen=True, kw_only=True):
    """What a model took."""

    variants: dict[str, VariantSpent] = msgspec.field(default_factory=dict)
    offloaded: Count = 0
    """Requests that were sent to its endpoint."""
    offload_sent_bytes: Count = 0
    offload_received_bytes: Count = 0


class Day(Document, frozen=True, kw_only=True):
    """One day."""

    date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$(?!\n)")]
    models: dict[str, ModelSpent] = msgspec.field(default_factory=dict)
    level_s: dict[str, Amount] = msgspec.field(default_factory=dict)
    """Time at each thermal level, and at ``unknown``."""
    joules: Amount = 0.0
    """Of the whole device, in the time of which its power is known."""
    joules_s: Amount = 0.0
    """That time."""


class Book(Document, frozen=True, kw_only=True):
    """The document."""

    schema: Literal[1] = 1
    days: Annotated[tuple[Day, ...], msgspec.Meta(max_length=KEPT_DAYS)] = ()
    """Oldest first."""


def with_interval(book: Book, date: str, interval: Interval, level: str) -> Book:
    """Add what was between two looks.

    Args:
        book: Before.
        date: Of the day.
        interval: What was.
        level: The thermal level meanwhile.
    """

    def change(day: Day) -> Day:
        level_s = {**day.level_s, level: day.level_s.get(level, 0.0) + interval.duration_s}
        models = day.models
        for key, cost in interval.costs.items():
            models = _with_cost(models, key, cost)
        day = msgspec.structs.replace(day, level_s=level_s, models=models)
        if interval.joules is None:
            return day
        return msgspec.structs.replace(
            day, joules=day.joules + interval.joules, joules_s=day.joules_s + interval.duration_s
        )

    return _on(book, date, change)


def with_offload(book: Book, date: str, model: str, *, sent_bytes: int, received_bytes: int) -> Book:
    """Add a request that left the device."""

    def change(day: Day) -> Day:
        if model not in day.models and len(day.models) >= MOST_MODELS:
            return day
        spent = day.models.get(model, ModelSpent())
        changed = msgspec.structs.replace(
            spent,
            offloaded=spent.offloaded + 1,
            offload_sent_bytes=spent.offload_sent_bytes + sent_bytes,
            offload_received_bytes=spent.offload_received_bytes + received_bytes,
        )
        return msgspec.structs.replace(day, models={**day.models, model: changed})

    return _on(book, date, change)


def joules_per_run(spent: VariantSpent) -> float | None:
    """Return the energy of one run; None where too few were measured."""
    return spent.joules / spent.measured_runs if spent.measured_runs >= FEWEST_RUNS else None


def run_watts(spent: VariantSpent) -> float | None:
    """Return what the device drew more than idle while one run was under way; None where too little is known."""
    if spent.measured_runs < FEWEST_RUNS or not spent.measured_run_s:
        return None
    return spent.joules / spent.measured_run_s


def energy_lately(book: Book, today: str) -> dict[str, RunEnergy]:
    """Return what a run of each variant took on the last ``RECENT_DAYS`` days on which the device was on.

    Days that are yet to come, by a clock that was set back, do not count.

    Args:
        book: Of which days.
        today: The date.

    Returns:
        By the variant's id, which names its model and version, too. Left out is of what too few runs were measured. What was measured
        without its time counts for nothing, so that joules and watts are those of the same runs.
    """
    days = [day for day in book.days if day.date <= today][-RECENT_DAYS:]
    sums: dict[str, VariantSpent] = {}
    for id_, spent in (pair for day in days for model in day.models.values() for pair in model.variants.items()):
        if spent.measured_run_s is not None:
            sums[id_] = _both(sums[id_], spent) if id_ in sums else spent
    return {
        id_: RunEnergy(joules=joules, watts=watts)
        for id_, spent in sums.items()
        if (joules := joules_per_run(spent)) is not None and (watts := run_watts(spent)) is not None
    }


def _with_cost(models: dict[str, ModelSpent], key: Key, cost: Cost) -> dict[str, ModelSpent]:
    model, variant = key
    if model not in models and len(models) >= MOST_MODELS:
        return models
    spent = models.get(model, ModelSpent())
    if variant not in spent.variants and len(spent.variants) >= MOST_VARIANTS:
        return models
    new = VariantSpent(runs=cost.runs, run_s=cost.run_s)
    if cost.joules is not None:
        new = msgspec.structs.replace(new, measured_runs=cost.runs, measured_run_s=cost.run_s, joules=cost.joules)
    after = _both(spent.variants[variant], new) if variant in spent.variants else new
    variants: Mapping[str, VariantSpent] = {**spent.variants, variant: after}
    return {**models, model: msgspec.structs.replace(spent, variants=variants)}


def _both(one: VariantSpent, other: VariantSpent) -> VariantSpent:
    """Add up what was spent at two times."""
    measured = [spent.measured_run_s for spent in (one, other) if spent.measured_runs]
    known_s = [run_s for run_s in measured if run_s is not None]
    return VariantSpent(
        runs=one.runs + other.runs,
        run_s=one.run_s + other.run_s,
        measured_runs=one.measured_runs + other.measured_runs,
        measured_run_s=sum(known_s) if known_s and len(known_s) == len(measured) else None,
        joules=one.joules + other.joules,
    )


def _on(book: Book, date: str, change: Callable[[Day], Day]) -> Book:
    """Change a day, which is made where it is not there; the oldest go when there are too many.

    A clock that is set back finds its days again, and one that is set forward for a while does not push out what was.
    """
    days = {day.date: day for day in book.days}
    days[date] = change(days.get(date, Day(date=date)))
    kept = sorted(days)
    while len(kept) > KEPT_DAYS:
        # Never the day that was changed just now, however old a clock that was set back says it is.
        kept.remove(next(other for other in kept if other != date))
    return Book(days=tuple(days[name] for name in kept))
