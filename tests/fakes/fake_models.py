"""Models for the API without workers: they answer at once, wait to be released, or fail as asked."""

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from edged.api.documents.status import ModelStatus, SlotStatus, Status
from edged.api.ports import ModelUsage, ModelView, Taken
from edged.errors import EdgedError, ModelUnknownError, UnavailableError
from edged.ids import ModelName, Version
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Call, Request, Segment
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import InferResult, Tensor
from edged.telemetry.serving import ServingStats

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

MEMORY_BYTES = 256 << 20


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
    """Fulfils ``Models``, ``StatusSource`` and ``UsageSource``.

    ``failure`` ends the next inferences when set: one of edged's own errors as their outcome, any other is raised by ``submit``. While
    ``hold`` is set a call waits for ``let_go``; ``started`` and ``abandoned`` tell how far one got. ``requests`` has every request.
    """

    def __init__(self, *views: ModelView, memory_bytes: int = MEMORY_BYTES) -> None:
        self.all = {view.name: view for view in views or (ECHO, PAIR)}
        self.document = status_of(*self.all.values())
        self.memory = SharedMemory(max_bytes=lambda: memory_bytes)
        self.counts = {name: ServingStats() for name in self.all}
        self.failure: Exception | None = None
        self.hold = False
        self.started = asyncio.Event()
        self.abandoned = asyncio.Event()
        self.taken: list[Segment] = []
        self.requests: list[Request] = []
        self.inputs: list[dict[str, bytes]] = []
        """Of each request, as they were when it came."""
        self.timeouts_s: list[float] = []
        self.score = 0.75
        self.decision = None
        """What every request is said to be decided by."""
        self._held: list[tuple[Call, ModelView]] = []

    @property
    def under_way(self) -> int:
        """Calls that are held."""
        return len(self._held)

    def status(self) -> Status:
        return self.document

    def usage(self) -> Sequence[ModelUsage]:
        return [
            ModelUsage(view=view, stats=self.counts[name], worker_pid=None, waiting=0, running=0, shared_memory_bytes=0)
            for name, view in sorted(self.all.items())
        ]

    def stats(self, name: str) -> ServingStats | None:
        return self.counts.get(ModelName(name))

    def views(self) -> Sequence[ModelView]:
        return sorted(self.all.values(), key=lambda view: view.name)

    def view(self, name: str, version: str | None) -> ModelView:
        view = self.all.get(ModelName(name))
        if view is None or (version is not None and version != str(view.version)):
            raise ModelUnknownError(
                f"No model {name!r} of version {version or 'any'}.", hint="edgectl models lists them."
            )
        return view

    def take_memory(self, name: str, size_bytes: int) -> Segment:
        self.view(name, None)
        segment = self.memory.take(size_bytes)
        self.taken.append(segment)
        return segment

    def submit(self, name: str, version: str | None, call: Call) -> Taken:
        view = self.view(name, version)
        self.requests.append(call.request)
        self.inputs.append({tensor.name: bytes(tensor.data) for tensor in call.request.inputs})
        self.timeouts_s.append(call.request.deadline_s - time.monotonic())
        self.started.set()
        if self.failure is not None and not isinstance(self.failure, EdgedError):
            raise self.failure
        if self.hold:
            call.abandoned = lambda: self._abandon(call)
            self._held.append((call, view))
        else:
            self._finish(call, view)
        return Taken(model=view, decision=self.decision)

    def let_go(self) -> None:
        """Finish every call that is held, and hold none any more."""
        self.hold = False
        held, self._held = self._held, []
        for call, view in held:
            self._finish(call, view)

    def _abandon(self, call: Call) -> None:
        self._held = [(held, view) for held, view in self._held if held is not call]
        self.abandoned.set()
        call.finish(UnavailableError("Its caller left."))

    def _finish(self, call: Call, view: ModelView) -> None:
        if isinstance(self.failure, EdgedError):
            call.finish(self.failure)
            return
        wanted = call.request.outputs
        outputs = [tensor for tensor in self._answers(view, call.request.inputs) if tensor.name in wanted]
        call.finish(InferResult(outputs=outputs, run_s=0.001))

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
