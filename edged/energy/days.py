"""What was spent on each of the last days, by model: a document that is changed by pure functions. Days are those of UTC.

``KEPT_DAYS`` days are kept, and on each of them ``MOST_MODELS`` models with ``MOST_VARIANTS`` variants, so that it stays small whatever
happens. What comes beyond that is counted for the device alone.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document
from edged.energy.attribution import Interval, Key

KEPT_DAYS: Final = 30
MOST_MODELS: Final = 64
MOST_VARIANTS: Final = 16
FEWEST_RUNS: Final = 20
"""Fewer measured runs say nothing about one."""

Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


class VariantSpent(Document, frozen=True, kw_only=True):
    """What the runs of a variant took."""

    runs: Count = 0
    """Requests that shared a run count as one."""
    run_s: Amount = 0.0
    measured_runs: Count = 0
    """Those of them whose energy is known."""
    joules: Amount = 0.0
    """Of the measured runs."""


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
            models = _with_runs(models, key, runs=cost.runs, run_s=cost.run_s, joules=cost.joules)
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


def _with_runs(
    models: dict[str, ModelSpent], key: Key, *, runs: int, run_s: float, joules: float | None
) -> dict[str, ModelSpent]:
    model, variant = key
    if model not in models and len(models) >= MOST_MODELS:
        return models
    spent = models.get(model, ModelSpent())
    if variant not in spent.variants and len(spent.variants) >= MOST_VARIANTS:
        return models
    before = spent.variants.get(variant, VariantSpent())
    after = VariantSpent(
        runs=before.runs + runs,
        run_s=before.run_s + run_s,
        measured_runs=before.measured_runs + (0 if joules is None else runs),
        joules=before.joules + (joules or 0.0),
    )
    variants: Mapping[str, VariantSpent] = {**spent.variants, variant: after}
    return {**models, model: msgspec.structs.replace(spent, variants=variants)}


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
