"""Hold a loaded model against its bundle's validation kit."""

from collections.abc import Callable, Sequence
from typing import Final

from edged.daemon.serving.keeper import Loadable
from edged.errors import ValidationFailedError
from edged.host.worker import Worker
from edged.validation.memory import MemoryMeter
from edged.validation.validate import Infers, validate

REASONS_KEPT: Final = 3
"""Of a failed validation, in the slot table and the status."""


async def check_model(loadable: Loadable, model: Infers, *, timeout_s: float, beat: Callable[[], None]) -> None:
    """Run the kit.

    Args:
        loadable: The bundle with the kit, and the variant whose budget counts.
        model: Has the variant loaded. Its memory is measured if it is a worker that nobody else asks anything.
        timeout_s: Longest wait for one sample.
        beat: Called after every sample: a long kit is no reason for the watchdog to bark.

    Raises:
        ValidationFailedError: The model answers differently, too slowly, or needs too much memory.
        EdgedError: It could not be asked.
    """
    bundle = loadable.bundle
    verdict = await validate(
        model,
        bundle.directory,
        bundle.manifest,
        loadable.variant,
        timeout_s=timeout_s,
        meter=MemoryMeter(model.pid) if isinstance(model, Worker) else None,
        after_sample=beat,
    )
    if not verdict.passed:
        raise ValidationFailedError(
            _first(verdict.reasons), hint="Publish a bundle whose golden outputs the model gives."
        )


def _first(reasons: Sequence[str]) -> str:
    rest = len(reasons) - REASONS_KEPT
    return "; ".join(reasons[:REASONS_KEPT]) + (f"; and {rest} more" if rest > 0 else "")
