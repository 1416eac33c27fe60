"""Puts together what loads, switches and describes variants."""

from collections.abc import Callable
from dataclasses import dataclass

from edged.clock import Clock
from edged.config.schema import ServeConfig
from edged.daemon.lifecycle.check import check_model
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.variants.measures import Measures
from edged.daemon.variants.report import VariantReport
from edged.daemon.variants.variants import Variants
from edged.select.machine import Machine
from edged.select.warm import WarmRules
from edged.telemetry.processes import read_available_bytes
from edged.validation.validate import Infers


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """The parts. ``variants.run`` is the caller's to run, and ``variants.write_down`` to be waited for at the end."""

    variants: Variants
    report: VariantReport


def switching(
    *,
    serving: Serving,
    measures: Measures,
    table: SlotTable,
    lifecycle: Lifecycle,
    machine: Machine,
    clock: Clock,
    rules: Callable[[], WarmRules],
    limits: Callable[[], ServeConfig],
    beat: Callable[[], None],
) -> Switching:
    """Put them together, before anything is served.

    Args:
        serving: Told what is loaded and what answers.
        measures: What was learned about variants.
        table: The slots.
        lifecycle: Decides which versions answer.
        machine: What variants have to fit.
        clock: Monotonic.
        rules: Called for what is to be kept loaded.
        limits: Called for the limits in force.
        beat: Called at every sign of progress.
    """

    async def check(loadable: Loadable, model: Infers) -> None:
        await check_model(loadable, model, timeout_s=limits().request_timeout_s, beat=beat)

    variants = Variants(
        serving=serving,
        table=table,
        turn=lifecycle.answering.turn,
        machine=machine,
        measures=measures,
        check=check,
        available_bytes=read_available_bytes,
        rules=rules,
        clock=clock,
    )
    return Switching(variants=variants, report=VariantReport(variants, serving))
