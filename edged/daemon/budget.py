"""Keep the book of what models cost this device: looks every ``LOOK_EVERY_S``, written every ``WRITE_EVERY_S`` and at the end."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from edged.api.documents.budget import BudgetDocument, DayCost, Energy, ModelCost, VariantCost
from edged.clock import Clock, utc_date
from edged.daemon.decisions.seams import Contexts
from edged.daemon.serving.keeper import Worker
from edged.daemon.serving.serving import Serving
from edged.energy.attribution import Attribution, Key, Look, Process, Work
from edged.energy.days import (
    Book,
    Day,
    ModelSpent,
    RunEnergy,
    VariantSpent,
    energy_lately,
    joules_per_run,
    run_watts,
    with_interval,
    with_offload,
)
from edged.energy.file import read_book, write_book
from edged.energy.processors import read_busy_s, read_processor_s
from edged.update.traffic.spent import SpentDocument, read_spent

LOOK_EVERY_S: Final = 10.0
WRITE_EVERY_S: Final = 900.0
"""Each write costs a flash memory some life; a power cut loses what came after the last one."""
METHOD: Final = (
    "What the device draws above its idle baseline, times the share of the models' workers in all time that processors were busy, divided"
    " among variants by the processor time of their workers. The time of its runs counts instead for a variant whose processor time is"
    " not known, or that may use an accelerator and has less. Good for comparing variants on one device; what else is switched on meanwhile"
    " counts for the models."
)
_UNKNOWN: Final = "unknown"


class BudgetBook:
    """Fulfils ``edged.api.endpoints.budget.BudgetSource`` and ``edged.daemon.offload.endpoints.Spent``.

    Args:
        path: Of the book.
        spent: Where the updater says what it fetched (``edged.update.traffic.spent``).
        contexts: Know what the device draws, and how warm it is.
        work: Returns what each loaded variant has done.
        clock: Monotonic.
        unix_s: The wall clock, as far as it is trusted.
        read_busy: Returns how long processors were busy.
    """

    def __init__(
        self,
        path: Path,
        *,
        spent: Path,
        contexts: Contexts,
        work: Callable[[], Mapping[Key, Work]],
        clock: Clock,
        unix_s: Callable[[], float],
        read_busy: Callable[[], float | None] = read_busy_s,
    ) -> None:
        self._path = path
        self._spent = spent
        self._contexts = contexts
        self._work = work
        self._clock = clock
        self._unix_s = unix_s
        self._read_busy = read_busy
        self._attribution = Attribution()
        self._book = read_book(path)
        self._written = self._book
        self._reason = "no model has run since edged started"

    @property
    def book(self) -> Book:
        """What is known of the last days."""
        return self._book

    def energy(self) -> Mapping[str, RunEnergy]:
        """Return what a run of each variant took lately, by its id; without those of which too little is known."""
        return energy_lately(self._book, self._today())

    def look(self) -> None:
        """Take a look."""
        context = self._contexts.current
        interval = self._attribution.take(
            Look(
                at_s=self._clock.monotonic_s(),
                watts=context.power_watts,
                busy_s=self._read_busy(),
                work=self._work(),
            )
        )
        if interval is None:
            return
        level = _UNKNOWN if context.thermal.value is None else context.thermal.value.name.lower()
        self._book = with_interval(self._book, self._today(), interval, level)
        if interval.costs:
            self._reason = interval.reason

    def offloaded(self, model: str, *, sent_bytes: int, received_bytes: int) -> None:
        """Take note of a request that left the device."""
        self._book = with_offload(
            self._book, self._today(), model, sent_bytes=sent_bytes, received_bytes=received_bytes
        )

    async def run(self) -> None:
        """Look and write until cancelled; then write once more."""
        try:
            while True:
                for _ in range(round(WRITE_EVERY_S / LOOK_EVERY_S)):
                    self.look()
                    await asyncio.sleep(LOOK_EVERY_S)
                await asyncio.to_thread(self.write)
        finally:
            self.look()
            self.write()

    def write(self) -> None:
        """Write the book if there is anything new in it."""
        book = self._book
        if book is not self._written:
            write_book(self._path, book)
            self._written = book

    async def budget(self) -> BudgetDocument:
        """Return the last days."""
        fetched = await asyncio.to_thread(read_spent, self._spent)
        return describe(self._book, fetched, baseline_watts=self._attribution.baseline_watts, reason=self._reason)

    def _today(self) -> str:
        return utc_date(self._unix_s())


def work_of(serving: Serving, read_processor: Callable[[int], float | None] = read_processor_s) -> dict[Key, Work]:
    """Return what each variant that is loaded has done since it was.

    Args:
        serving: Has them.
        read_processor: Returns how long processors were busy with a process.
    """
    return {
        (str(model), served.loadable.variant.id): Work(
            runs=served.run_times.count,
            run_s=served.run_times.sum,
            process=_process(served.worker, read_processor),
            may_accelerate=set(served.loadable.variant.targets.accelerators) != {"cpu"},
        )
        for model in serving.served
        for served in serving.variants(model)
    }


def _process(worker: Worker | None, read_processor: Callable[[int], float | None]) -> Process | None:
    if worker is None or not worker.is_usable:
        return None
    used_s = read_processor(worker.pid)
    return None if used_s is None else Process(pid=worker.pid, processor_s=used_s)


def describe(book: Book, fetched: SpentDocument, *, baseline_watts: float | None, reason: str) -> BudgetDocument:
    """Put together what is known of the last days. Pure.

    Args:
        book: What models cost.
        fetched: What the updater fetched.
        baseline_watts: What the device draws while no model runs.
        reason: Why runs are not measured now.
    """
    known = {day.date: day for day in book.days}
    dates = sorted({*known, *fetched.days}, reverse=True)
    return BudgetDocument(
        days=tuple(_day(known.get(date, Day(date=date)), fetched.days.get(date, {})) for date in dates),
        energy=Energy(baseline_watts=baseline_watts, reason=reason, method=METHOD),
    )


def _day(day: Day, fetched: Mapping[str, int]) -> DayCost:
    models = sorted({*day.models, *fetched} - {""})
    return DayCost(
        date=day.date,
        models=tuple(_model(name, day.models.get(name, ModelSpent()), fetched.get(name, 0)) for name in models),
        level_s=day.level_s,
        joules=day.joules if day.joules_s > 0 else None,
        joules_s=day.joules_s,
        other_update_bytes=fetched.get("", 0),
    )


def _model(name: str, spent: ModelSpent, update_bytes: int) -> ModelCost:
    return ModelCost(
        model=name,
        update_bytes=update_bytes,
        offloaded=spent.offloaded,
        offload_sent_bytes=spent.offload_sent_bytes,
        offload_received_bytes=spent.offload_received_bytes,
        variants=tuple(_variant(id_, variant) for id_, variant in sorted(spent.variants.items())),
    )


def _variant(id_: str, spent: VariantSpent) -> VariantCost:
    return VariantCost(
        variant=id_,
        runs=spent.runs,
        run_s=spent.run_s,
        measured_runs=spent.measured_runs,
        joules=spent.joules if spent.measured_runs else None,
        joules_per_run=joules_per_run(spent),
        watts=run_watts(spent),
    )
