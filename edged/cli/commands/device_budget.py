"""``edgectl device budget``: what models cost this device, day by day."""

import argparse
from collections.abc import Iterator
from typing import Any, Final

from edged.api.documents.budget import BUDGET_PATH, BudgetDocument, DayCost, ModelCost, VariantCost
from edged.cli.arguments import whole_number
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.showing import text_of
from edged.cli.table import align, printable
from edged.cli.words import duration, joules_text, size

DEFAULT_DAYS: Final = 7
MOST_DAYS: Final = 366
"""More than are kept."""
_HEADINGS: Final = ("MODEL", "VARIANT", "RUNS", "EACH", "ENERGY", "EACH", "DRAWS", "UPDATES", "OFFLOAD")
_LEVELS: Final = ("nominal", "fair", "serious", "critical", "unknown")


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl device``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "budget", help="show bytes, energy and thermal levels of the last days, by model"
    )
    parser.add_argument(
        "--days",
        type=whole_number(least=1, most=MOST_DAYS),
        default=DEFAULT_DAYS,
        metavar="N",
        help="show so many days, newest first (%(default)s)",
    )
    parser.add_argument("--json", action="store_true", help=f"print the document of {BUDGET_PATH}, with all days")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the budget."""
    document = Client(args.socket).get(BUDGET_PATH, BudgetDocument)
    print(text_of(document, lambda document: render(document, days=args.days), as_json=args.json), end="")
    return Exit.OK


def render(document: BudgetDocument, *, days: int) -> str:
    """Lay out a budget for a person."""
    if not document.days:
        return "Nothing is known yet: the first look back is possible after some seconds.\n"
    parts = [_day_text(day) for day in document.days[:days]]
    parts.append(_energy_text(document))
    return "\n".join(parts)


def _day_text(day: DayCost) -> str:
    levels = ", ".join(f"{level} {duration(day.level_s[level])}" for level in _LEVELS if level in day.level_s)
    lines = [f"{day.date} (UTC)"]
    lines += [f"  thermal   {levels}"] if levels else []
    if day.joules is not None:
        lines.append(f"  device    {joules_text(day.joules)} in {duration(day.joules_s)}")
    if day.other_update_bytes:
        lines.append(f"  metadata  {size(day.other_update_bytes)}")
    rows = [row for model in day.models for row in _rows(model)]
    return "\n".join(lines) + "\n" + (align([_HEADINGS, *rows], indent="  ") if rows else "")


def _rows(model: ModelCost) -> Iterator[tuple[str, ...]]:
    variants: tuple[VariantCost | None, ...] = model.variants or (None,)
    for place, variant in enumerate(variants):
        is_first = place == 0
        yield (
            printable(model.model) if is_first else "",
            *_variant_cells(variant),
            size(model.update_bytes) if is_first else "",
            _offload_text(model) if is_first else "",
        )


def _variant_cells(variant: VariantCost | None) -> tuple[str, ...]:
    if variant is None:
        return ("-", "0", "-", "-", "-", "-")
    return (
        printable(variant.variant),
        str(variant.runs),
        f"{1000 * variant.run_s / variant.runs:.2f} ms" if variant.runs else "-",
        "unknown" if variant.joules is None else joules_text(variant.joules),
        "unknown" if variant.joules_per_run is None else joules_text(variant.joules_per_run),
        "unknown" if variant.watts is None else f"{variant.watts:.2f} W",
    )


def _offload_text(model: ModelCost) -> str:
    if not model.offloaded:
        return "-"
    return f"{model.offloaded} ({size(model.offload_sent_bytes)} out, {size(model.offload_received_bytes)} in)"


def _energy_text(document: BudgetDocument) -> str:
    energy = document.energy
    if energy.reason:
        return f"Energy is not measured now: {printable(energy.reason)}.\n"
    baseline = "" if energy.baseline_watts is None else f" Idle baseline: {energy.baseline_watts:.2f} W."
    return f"How energy is known: {printable(energy.method)}{baseline}\n"
