"""Models for the API without workers: they answer at once, wait to be released, or fail as asked."""

import asyncio
from collections.abc import Sequence

import numpy as np

from edged.api.ports import Answer, ModelView
from edged.api.status import ModelStatus, SlotStatus, Status
from edged.errors import ModelUnknownError
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import InferResult, Tensor

ECHO = ModelView(
    name=ModelName("echo"),
    version=Version(1, 2, 3),
    variant="echo-1.2.3-fp32-amd64",
    platform="onnxruntime_onnx",
    inputs=(TensorSpec(name="content", dtype="BYTES", shape=(1,)),),
    raw_inputs=(TensorSpec(name="window", dtype="INT32", shape=(1, -1)),),
    outputs=(
        TensorSpec(name="label", dtype="BYTES", shape=(1,)),
        TensorSpec(name="score", dtype="FP32", shape=(1, 2)),
    ),
    is_ready=True,
)
"""Takes a file or a row of integers, gives a label and two scores."""

PAIR = ModelView(
    name=ModelName("pair"),
    version=Version(0, 1, 0),
    variant="pair-0.1.0-fp32-amd64",
    platform="onnxruntime_onnx",
    inputs=(TensorSpec(name="left", dtype="FP32", shape=(-1, 2)), TensorSpec(name="right", dtype="BOOL", shape=(2,))),
    raw_inputs=(
        TensorSpec(name="left", dtype="FP32", shape=(-1, 2)),
        TensorSpec(name="right", dtype="BOOL", shape=(2,)),
    ),
    outputs=(TensorSpec(name="sum", dtype="FP32", shape=(-1, 2)),),
    is_ready=True,
)
"""Takes two tensors, gives one of a free size."""


def status_of(*views: ModelView) -> Status:
    """Describe a device on which these models serve."""
    return Status(
        edged="0.1.0",
        state="serving" if views else "idle",
        started_at=1_700_000_000.0,
        models=tuple(
            ModelStatus(
                name=view.name,
                state="serving",
                active="a",
                slots=(
                    SlotStatus(
                        slot="a",
                        state="good",
                        version=str(view.version),
                        variant=view.variant,
                        changed_at=1_700_000_000.0,
                    ),
                    SlotStatus(slot="b", state="empty", changed_at=1_700_000_000.0),
                ),
            )
            for view in views
        ),
    )


class FakeModels:
    """Fulfils both ``Models`` and ``StatusSource``.

    ``failure`` is raised by the next inferences when set. While ``hold`` is set an inference waits for ``release``; ``started`` and
    ``cancelled`` tell how far one got. ``requests`` keeps the inputs of every inference.
    """

    def __init__(self, *views: ModelView) -> None:
        self.all = {view.name: view for view in views or (ECHO, PAIR)}
        self.document = status_of(*self.all.values())
        self.failure: BaseException | None = None
        self.hold = False
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.requests: list[Sequence[Tensor]] = []
        self.timeouts_s: list[float] = []
        self.score = 0.75

    def status(self) -> Status:
        return self.document

    def views(self) -> Sequence[ModelView]:
        return sorted(self.all.values(), key=lambda view: view.name)

    def view(self, name: str, version: str | None) -> ModelView:
        view = self.all.get(ModelName(name))
        if view is None or version not in {None, str(view.version)}:
            raise ModelUnknownError(
                f"No model {name!r} of version {version or 'any'}.", hint="edgectl models lists them."
            )
        return view

    async def infer(
        self, name: str, version: str | None, inputs: Sequence[Tensor], outputs: Sequence[str], *, timeout_s: float
    ) -> Answer:
        self.requests.append(inputs)
        self.timeouts_s.append(timeout_s)
        if self.failure is not None:
            raise self.failure
        self.started.set()
        if self.hold:
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        view = self.view(name, version)
        result = InferResult(outputs=[t for t in self._answers(view, inputs) if t.name in outputs], run_s=0.001)
        return Answer(result=result, model=view)

    def _answers(self, view: ModelView, inputs: Sequence[Tensor]) -> list[Tensor]:
        if view.name == "pair":
            left = next(tensor for tensor in inputs if tensor.name == "left")
            return [Tensor(name="sum", dtype="FP32", shape=left.shape, data=bytes(left.data))]
        size = sum(len(tensor.data) for tensor in inputs)
        label = str(size).encode()
        scores = np.array([self.score, 1 - self.score], dtype="<f4").tobytes()
        return [
            Tensor(name="label", dtype="BYTES", shape=(1,), data=len(label).to_bytes(4, "little") + label),
            Tensor(name="score", dtype="FP32", shape=(1, 2), data=scores),
        ]


class UnexpectedError(Exception):
    """Stands for a bug: not one of edged's own errors."""
