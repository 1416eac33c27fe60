"""What models cost a device, day by day, as a document: ``/edged/v1/budget``. Pure."""

from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document

BUDGET_PATH: Final = "/edged/v1/budget"


class VariantCost(Document, frozen=True, kw_only=True):
    """What the runs of a variant took on a day."""

    variant: str
    runs: int
    """Requests that shared a run count as one."""
    run_s: float
    measured_runs: int
    joules: float | None
    """Of the measured runs; None where none was measured."""
    joules_per_run: float | None
    """None where too few runs were measured."""
    watts: float | None
    """What the device drew more than idle while one run was under way; None where too little is known."""


class ModelCost(Document, frozen=True, kw_only=True):
    """What a model took on a day."""

    model: str
    update_bytes: int
    """Fetched for its bundles."""
    offloaded: int
    """Requests that were sent to its endpoint."""
    offload_sent_bytes: int
    offload_received_bytes: int
    variants: tuple[VariantCost, ...]


class DayCost(Document, frozen=True, kw_only=True):
    """One day of UTC."""

    date: str
    models: tuple[ModelCost, ...]
    level_s: dict[str, float]
    """Seconds at each thermal level, and at ``unknown``."""
    joules: float | None
    """Of the whole device, in ``joules_s``; None where its power was never known."""
    joules_s: float
    other_update_bytes: int
    """Fetched for no bundle: metadata and documents."""


class Energy(Document, frozen=True, kw_only=True):
    """How energy is known here."""

    baseline_watts: float | None
    """What the device draws while no model runs."""
    reason: str
    """Why runs are not measured now; empty where they are."""
    method: Annotated[str, msgspec.Meta(description="How energy is attributed to models, and what that is good for.")]


class BudgetDocument(Document, frozen=True, kw_only=True):
    """What ``edgectl device budget --json`` prints; newest day first."""

    schema: Literal[1] = 1
    days: tuple[DayCost, ...]
    energy: Energy
