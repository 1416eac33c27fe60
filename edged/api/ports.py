"""What the API needs from the rest of the daemon, as protocols; the composition root hands in what fulfils them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edged.api.status import Status
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import InferResult, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model as an app sees it.

    ``inputs`` are what the pipeline takes and ``outputs`` what it gives; ``raw_inputs`` are the model's own inputs, which an app may
    send instead of ``inputs`` when it has done the pre-processing itself.
    """

    name: ModelName
    version: Version
    variant: str
    platform: str
    """``onnxruntime_onnx``, as Triton names it."""
    inputs: Sequence[TensorSpec]
    raw_inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    is_ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An inference and what was decided on the way to it."""

    result: InferResult
    model: ModelView


class Models(Protocol):
    """The models of this device."""

    def views(self) -> Sequence[ModelView]:
        """Return every model with an active version, sorted by name."""
        ...

    def view(self, name: str, version: str | None) -> ModelView:
        """Return one model; None means its active version.

        Raises:
            ModelUnknownError: There is none, or the version is not the active one.
        """
        ...

    async def infer(
        self, name: str, version: str | None, inputs: Sequence[Tensor], outputs: Sequence[str], *, timeout_s: float
    ) -> Answer:
        """Run one request.

        Args:
            name: The model.
            version: None means the active one.
            inputs: Either all of ``ModelView.inputs`` or all of ``raw_inputs``, checked against them by the caller.
            outputs: Names wanted; empty means all.
            timeout_s: Seconds from now until the answer is worth nothing.

        Raises:
            ModelUnknownError: No such model or version.
            UnavailableError: Loading, or the queue is full.
            DeadlineError: ``timeout_s`` passed.
            WorkerLostError: The worker ended during this request.
            TensorError: The pipeline or model does not take these values.
        """
        ...


class StatusSource(Protocol):
    """Where ``/edged/v1/status`` comes from."""

    def status(self) -> Status:
        """Return the state of the device right now."""
        ...
