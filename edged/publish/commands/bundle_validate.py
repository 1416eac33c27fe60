"""``edge-publish bundle validate``: run a bundle's validation kit as a device would."""

import argparse
import asyncio
from collections.abc import Mapping
from pathlib import Path

from edged.bundle.edgeb import read_manifest
from edged.bundle.manifest import Manifest, Variant
from edged.config.schema import WorkerConfig
from edged.errors import UsageError, ValidationFailedError
from edged.host.template import Template
from edged.publish.blobs import read_blobs
from edged.publish.commands.options import Verbs, add_json, add_verb, print_json, print_line, report
from edged.runtime.specs import open_variant
from edged.select.machine import read_machine
from edged.select.matcher import choose_variant, usable_variants
from edged.validation.validate import Verdict, validate

TEXT = """\
Load each variant that this machine can run in a worker process, as a device does, run every sample of the validation kit, and compare
the answers with the golden outputs and the latency with the budget. Exit code 10 says that a device would refuse the bundle.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "validate",
        summary="run a bundle's validation kit as a device would",
        text=TEXT,
        example="edge-publish bundle validate build/magika-1.0.0",
    )
    parser.add_argument("bundle", type=Path, metavar="DIR", help="a bundle directory")
    parser.add_argument("--variant", metavar="ID", help="only this variant")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="longest wait for one sample in seconds (30)"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Validate the bundle; a verdict against it is an error."""
    if args.timeout <= 0:
        raise UsageError("--timeout must be above 0", hint="For example: --timeout 60")
    _, manifest = read_manifest(args.bundle)
    read_blobs(args.bundle, manifest)
    variants = _choose(manifest, args.variant)
    verdicts = asyncio.run(_validate(args.bundle, manifest, variants, timeout_s=args.timeout))
    if args.json:
        print_json({"schema": 1, "variants": [_as_json(name, verdict) for name, verdict in verdicts.items()]})
    else:
        _print(verdicts)
    failed = [name for name, verdict in verdicts.items() if not verdict.passed]
    if failed:
        raise ValidationFailedError(
            f"{', '.join(failed)} failed validation",
            hint="Devices would refuse it; see the reasons above.",
            variants=failed,
        )


def _choose(manifest: Manifest, wanted: str | None) -> list[Variant]:
    """Choose what to validate.

    Raises:
        UsageError: There is no such variant.
        IncompatibleError: This machine can run none.
    """
    machine = read_machine()
    if wanted is None:
        choose_variant(manifest, machine)  # says of each variant why it does not fit, when none does
        return list(usable_variants(manifest, machine))
    chosen = [variant for variant in manifest.variants if variant.id == wanted]
    if not chosen:
        names = ", ".join(variant.id for variant in manifest.variants)
        raise UsageError(f"there is no variant {wanted}", hint=f"Variants are {names}.")
    return chosen


async def _validate(
    directory: Path, manifest: Manifest, variants: list[Variant], *, timeout_s: float
) -> Mapping[str, Verdict]:
    limits = WorkerConfig()
    verdicts = {}
    async with Template() as template:
        for variant in variants:
            report(f"validate {variant.id}")
            memory = variant.budget.memory_bytes + limits.memory_floor_bytes
            with open_variant(directory, manifest, variant, memory_limit_bytes=memory) as (spec, files):
                worker = await template.start_worker(spec, files, timeout_s=limits.load_timeout_s)
            async with worker:
                verdicts[variant.id] = await validate(worker, directory, manifest, variant, timeout_s=timeout_s)
    return verdicts


def _print(verdicts: Mapping[str, Verdict]) -> None:
    for name, verdict in verdicts.items():
        state = "passed" if verdict.passed else "FAILED"
        figures = f"{verdict.samples} samples, median {verdict.latency_p50_ms:.2f} ms, budget {verdict.budget_ms:g} ms"
        print_line(f"{name}: {state}, {figures}")
        for reason in verdict.reasons:
            print_line(f"  {reason}")


def _as_json(name: str, verdict: Verdict) -> dict[str, object]:
    return {
        "variant": name,
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "samples": verdict.samples,
        "latency_p50_ms": verdict.latency_p50_ms,
        "budget_ms": verdict.budget_ms,
    }
