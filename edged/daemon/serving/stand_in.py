"""What answers in the place of a model that cannot: another version or variant of it, or a constant."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from edged.api.ports import ModelView
from edged.bundle.fallback import Constant, ConstantOutput, FallbackUse
from edged.bundle.manifest import Manifest
from edged.daemon.serving.served import Served
from edged.pipeline.datatypes import pack, pack_bytes
from edged.runtime.calls import Call
from edged.runtime.tensors import InferResult, Tensor
from edged.telemetry.serving import OK, ServingStats


class ConstantAnswer:
    """Gives every request the outputs that a manifest has written down, without any worker.

    Args:
        rule: Checked against the manifest.
        stats: Of what answers in the place of the model.
    """

    def __init__(self, rule: Constant, stats: ServingStats) -> None:
        self._stats = stats
        self._result = InferResult(outputs=tuple(map(_tensor, rule.outputs)), run_s=0.0)

    def submit(self, call: Call) -> None:
        """Take a call, and answer it in the loop's next turn."""
        loop = asyncio.get_running_loop()
        loop.call_soon(self._finish, call, loop.time())

    def _finish(self, call: Call, arrived_s: float) -> None:
        self._stats.finished(OK, asyncio.get_running_loop().time() - arrived_s)
        call.finish(self._result)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandIn:
    """Something that answers for a model, and how apps see it."""

    use: FallbackUse
    words: str
    """For people: ``version 1.0.0``."""
    answers: Served | ConstantAnswer
    view: Callable[[], ModelView]

    @property
    def served(self) -> Served | None:
        """The version or variant with its worker; None for a constant."""
        return self.answers if isinstance(self.answers, Served) else None


def view_of(served: Served, *, is_ready: bool) -> ModelView:
    """Return how apps see a version."""
    manifest, variant = served.loadable.bundle.manifest, served.loadable.variant
    return ModelView(
        name=manifest.model,
        version=manifest.semver,
        variant=variant.id,
        platform=f"{variant.runtime.name}_{variant.format}",
        inputs=manifest.pipeline.inputs,
        raw_inputs=variant.inputs,
        outputs=manifest.pipeline.outputs,
        is_ready=is_ready,
        state_inputs=frozenset(state.input for state in variant.state),
        max_rows=served.max_rows,
        least_scale=manifest.pipeline.least_scale,
    )


def constant_view(manifest: Manifest) -> ModelView:
    """Return how apps see a constant: as the model whose outputs it gives."""
    variant = manifest.variants[0]
    return ModelView(
        name=manifest.model,
        version=manifest.semver,
        variant="constant",
        platform="edged_constant",
        inputs=manifest.pipeline.inputs,
        raw_inputs=variant.inputs,
        outputs=manifest.pipeline.outputs,
        is_ready=True,
        state_inputs=frozenset(state.input for state in variant.state),
        fallback="constant",
    )


def stand_in_of(served: Served, use: FallbackUse, words: str) -> StandIn:
    """Have a loaded version or variant answer.

    Args:
        served: With its worker.
        use: By which rule.
        words: What it is, for people.
    """
    views = [replace(view_of(served, is_ready=is_ready), fallback=use) for is_ready in (False, True)]
    return StandIn(use=use, words=words, answers=served, view=lambda: views[served.worker is not None])


def constant_stand_in(rule: Constant, manifest: Manifest, words: str, stats: ServingStats) -> StandIn:
    """Have a constant answer.

    Args:
        rule: Of the manifest.
        manifest: Whose outputs they are.
        words: What it is, for people.
        stats: Of what answers in the place of the model.
    """
    shown = constant_view(manifest)
    answers = ConstantAnswer(rule, stats)
    return StandIn(use="constant", words=words, answers=answers, view=lambda: shown)


def _tensor(output: ConstantOutput) -> Tensor:
    if output.dtype == "BYTES":
        data = pack_bytes(str(value).encode() for value in output.data)
    else:
        data = pack(output.dtype, [value for value in output.data if not isinstance(value, str)])
    return Tensor(name=output.name, dtype=output.dtype, shape=output.shape, data=data)
