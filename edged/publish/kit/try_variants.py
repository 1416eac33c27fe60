"""Run a bundle's validation kit on its variants, each in a worker process as devices have it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Budget, Manifest, Variant
from edged.config.schema import WorkerConfig
from edged.errors import EdgedError
from edged.host.template import Template
from edged.runtime.specs import open_variant
from edged.validation.memory import MemoryMeter
from edged.validation.validate import validate
from edged.validation.verdict import VariantResult, Verdict

MEMORY_FACTOR: Final = 4
"""A worker may take so many times its budget here, so that what is over it is measured and not just refused by the system."""
PROGRESS_SAMPLES: Final = 50
"""Between two lines of progress."""
Report = Callable[[str], None]


def memory_limit_bytes(budget: Budget) -> int:
    """Return the limit of a worker at the publisher's, in bytes; a device's leaves out the factor."""
    return MEMORY_FACTOR * budget.memory_bytes + WorkerConfig().memory_floor_bytes


async def validate_variants(
    directory: Path, manifest: Manifest, variants: Sequence[Variant], *, timeout_s: float, report: Report
) -> tuple[str, Mapping[str, VariantResult]]:
    """Validate some variants.

    Args:
        directory: The bundle's, with every file as the manifest says.
        manifest: Of the bundle.
        variants: Those that this machine can run.
        timeout_s: Longest wait for one sample.
        report: Told one line for each variant, and some more for large kits.

    Returns:
        The runtime with its version, and what came of each variant by its id. One that cannot be loaded or asked is a result, too: the
        others are still worth knowing about.

    Raises:
        BackendError: The runtime cannot be started.
    """
    found = {}
    async with Template() as template:
        for variant in variants:
            report(f"validate {variant.id}")
            try:
                verdict = await _validate(template, directory, manifest, variant, timeout_s=timeout_s, report=report)
            except EdgedError as exc:
                found[variant.id] = VariantResult(variant=variant.id, error=f"{exc.code}: {exc}")
            else:
                found[variant.id] = VariantResult(variant=variant.id, verdict=verdict)
        return template.runtime, found


async def _validate(
    template: Template, directory: Path, manifest: Manifest, variant: Variant, *, timeout_s: float, report: Report
) -> Verdict:
    limit = memory_limit_bytes(variant.budget)
    with open_variant(directory, manifest, variant, memory_limit_bytes=limit) as (spec, files):
        worker = await template.start_worker(spec, files, timeout_s=WorkerConfig().load_timeout_s)
    done = 0

    def after_sample() -> None:
        nonlocal done
        done += 1
        if done % PROGRESS_SAMPLES == 0:
            report(f"validate {variant.id}: {done} samples")

    async with worker:
        return await validate(
            worker,
            directory,
            manifest,
            variant,
            timeout_s=timeout_s,
            meter=MemoryMeter(worker.pid),
            after_sample=after_sample,
        )
