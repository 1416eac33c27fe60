"""Requests for the scheduler: what they ask is a few bytes, so that a test can tell them apart."""

from collections.abc import Sequence

from edged.errors import EdgedError
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Call, Outcome, Request, RequestClass, SequenceStep
from edged.runtime.tensors import InferResult, Tensor
from edged.schedule.queue import Pending

FAR_S = 1e9
"""A deadline that no test reaches."""
INTERACTIVE, BACKGROUND = RequestClass.INTERACTIVE, RequestClass.BACKGROUND
FEATURES = TensorSpec(name="f", dtype="UINT8", shape=(-1,))
"""What the model of a fake worker takes where there are steps before it."""


def rows_of(*data: bytes, name: str = "x") -> Tensor:
    """A tensor UINT8 [rows, 1]; a row for each argument."""
    return Tensor(name=name, dtype="UINT8", shape=(len(data), 1), data=b"".join(data))


def request_of(
    data: bytes = b"0", *, deadline_s: float = FAR_S, sequence: int | str | None = None, **options: object
) -> Request:
    """A request with one row for each byte of ``data``."""
    step = None if sequence is None else SequenceStep(id=sequence)
    inputs = (rows_of(*(data[i : i + 1] for i in range(len(data)))),)
    return Request(inputs=inputs, deadline_s=deadline_s, sequence=step, **options)


def pending_of(data: bytes = b"0", *, arrived_s: float = 0.0, **options: object) -> Pending:
    """A call that nobody listens to, as the queue takes it."""
    return Pending(Call(request_of(data, **options), lambda _outcome: None), arrived_s=arrived_s)


class Asked:
    """A call and what became of it."""

    def __init__(self, request: Request) -> None:
        self.outcomes: list[Outcome] = []
        self.call = Call(request, self.outcomes.append)

    @property
    def is_finished(self) -> bool:
        return self.call.is_finished

    @property
    def answer(self) -> bytes:
        """The bytes that came back; the fake workers echo."""
        (outcome,) = self.outcomes
        assert isinstance(outcome, InferResult), outcome
        return bytes(outcome.outputs[0].data)

    @property
    def error(self) -> EdgedError:
        (outcome,) = self.outcomes
        assert isinstance(outcome, EdgedError), outcome
        return outcome


def echoes(requests: Sequence[Request]) -> list[InferResult]:
    """What a worker answers that gives everybody their own inputs back; its features are the inputs twice."""
    return [_echo(request, batch=len(requests)) for request in requests]


def features_of(*tensors: Tensor) -> tuple[Tensor, ...]:
    """What the steps before such a worker's model make of some inputs."""
    (tensor,) = tensors
    data = bytes(tensor.data) * 2
    return (Tensor(name=FEATURES.name, dtype=FEATURES.dtype, shape=(len(data),), data=data),)


def _echo(request: Request, *, batch: int) -> InferResult:
    features = request.features
    if features is None:
        return InferResult(outputs=request.inputs, run_s=0.001, batch=batch)
    if features.tensors is None:
        return InferResult(outputs=request.inputs, run_s=0.001, batch=batch, features=features_of(*request.inputs))
    assert features.tensors == features_of(*request.inputs), "they are of another question"
    return InferResult(outputs=request.inputs, run_s=0.001, batch=batch, had_features=True)
