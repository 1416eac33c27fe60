"""``edge-publish bundle validate``: run a bundle's validation kit as a device would."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from edged.bundle.manifest import Manifest
from edged.cli.table import align, printable
from edged.errors import IncompatibleError, UsageError, ValidationFailedError
from edged.publish.commands.bundle.whole import opened
from edged.publish.commands.options.printing import add_json, print_json, print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.kit.try_variants import validate_variants
from edged.select.machine import read_machine
from edged.select.matcher import misfits
from edged.validation.junit import junit_of
from edged.validation.quality import weaknesses
from edged.validation.report import document_of, rows_of
from edged.validation.samples import read_golden, read_kit
from edged.validation.verdict import VariantResult

TEXT = """\
Load each variant that this machine can run in a worker process, as a device does, run every sample of the validation kit, and compare
the answers with the golden outputs and the truth, and time and memory with the budget. Exit code 10 says that a device would refuse
the bundle. Weak kits (few samples, tolerances that nothing can fail) are warned about.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "validate",
        summary="run a bundle's validation kit as a device would",
        text=TEXT,
        example="edge-publish bundle validate build/magika-1.0.0.edgeb --junit report.xml",
    )
    parser.add_argument("bundle", type=Path, metavar="DIR|FILE.edgeb", help="a bundle directory or a packed bundle")
    parser.add_argument("--variant", metavar="ID", help="only this variant")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="longest wait for one sample in seconds (30)"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write a JUnit XML report")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Validate the bundle; a verdict against it is an error."""
    if not args.timeout > 0:
        raise UsageError("--timeout must be above 0", hint="For example: --timeout 60")
    with opened(args.bundle) as (directory, manifest):
        results = _choose(manifest, args.variant)
        kit = read_kit(directory, manifest)
        warnings = list(weaknesses([read_golden(directory, sample) for sample in kit.samples], manifest))
        for line in warnings:
            report(f"warning: {printable(line)}")
        todo = {result.variant for result in results if not result.skipped}
        variants = [variant for variant in manifest.variants if variant.id in todo]
        runtime, found = asyncio.run(
            validate_variants(directory, manifest, variants, timeout_s=args.timeout, report=report)
        )
    results = [found.get(result.variant, result) for result in results]
    name = f"{manifest.name}-{manifest.version}"
    if args.junit is not None:
        args.junit.write_bytes(junit_of(name, results, warnings=warnings))
    if args.json:
        print_json(document_of(name, runtime, results, warnings=warnings))
    else:
        _print(results)
    _refuse(manifest, results)


def _choose(manifest: Manifest, wanted: str | None) -> list[VariantResult]:
    """Choose what to validate: all results but those that are skipped are still to come.

    Raises:
        UsageError: There is no such variant.
    """
    variants = [variant for variant in manifest.variants if wanted in {None, variant.id}]
    if not variants:
        names = ", ".join(variant.id for variant in manifest.variants)
        raise UsageError(f"there is no variant {wanted}", hint=f"Variants are {names}.")
    machine = read_machine()
    return [VariantResult(variant=v.id, skipped="; ".join(misfits(v, machine))) for v in variants]


def _print(results: Sequence[VariantResult]) -> None:
    sys.stdout.write(align(list(rows_of(results))))
    for result in results:
        if result.reasons:
            print_line()
            print_line(f"{result.variant} {result.status}:")
        for reason in result.reasons:
            print_line(f"  {printable(reason)}")


def _refuse(manifest: Manifest, results: Sequence[VariantResult]) -> None:
    """Raise what speaks against the bundle.

    Raises:
        ValidationFailedError: A variant failed.
        IncompatibleError: There was nothing that this machine can run.
    """
    if failed := [result.variant for result in results if result.status in {"failed", "error"}]:
        raise ValidationFailedError(
            f"{', '.join(failed)} failed validation",
            hint="Devices would refuse it; see the reasons above.",
            variants=failed,
        )
    if all(result.status == "skipped" for result in results):
        why = "; ".join(f"{result.variant}: {result.skipped}" for result in results)
        raise IncompatibleError(
            f"no variant of {manifest.name} {manifest.version} fits this machine: {why}",
            hint="Validate the bundle on a machine that it is for.",
        )
