"""Hold a loaded model against its bundle's validation kit."""

from collections.abc import Callable, Sequence
from typing import Final

from edged.daemon.keeper import Loadable
from edged.errors import ValidationFailedError
from edged.runtime.tensors import InferResult, Tensor
from edged.validation.validate import Infers, validate

REASONS_KEPT: Final = 3
"""Of a failed validation, in the slot table and the status."""


async def check_model(loadable: Loadable, model: Infers, *, timeout_s: float, beat: Callable[[], None]) -> None:
    """Run the kit.

    Args:
        loadable: The bundle with the kit, and the variant whose budget counts.
        model: Has the variant loaded.
        timeout_s: Longest wait for one sample.
        beat: Called with every answer: a long kit is no reason for the watchdog to bark.

    Raises:
        ValidationFailedError: The model answers differently, or too slowly.
        EdgedError: It could not be asked.
    """
    bundle = loadable.bundle
    beating = _Beating(model, beat)
    verdict = await validate(beating, bundle.directory, bundle.manifest, loadable.variant, timeout_s=timeout_s)
    if not verdict.passed:
        raise ValidationFailedError(
            _first(verdict.reasons), hint="Publish a bundle whose golden outputs the model gives."
        )


class _Beating:
    def __init__(self, model: Infers, beat: Callable[[], None]) -> None:
        self._model = model
        self._beat = beat

    async def infer(self, inputs: Sequence[Tensor], outputs: Sequence[str] = (), *, timeout_s: float) -> InferResult:
        """Pass a request on."""
        result = await self._model.infer(inputs, outputs, timeout_s=timeout_s)
        self._beat()
        return result


def _first(reasons: Sequence[str]) -> str:
    rest = len(reasons) - REASONS_KEPT
    return "; ".join(reasons[:REASONS_KEPT]) + (f"; and {rest} more" if rest > 0 else "")
