"""Models with their pipelines, around a backend without a runtime, and questions to them."""

from pathlib import Path

import numpy as np

from edged.errors import EdgedError
from edged.runtime.tensors import Tensor
from edged.worker.arrays import to_tensor
from edged.worker.model import Answer, Execute, Model, load_model
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import ManualClock
from tests.fakes.workers import item_of, opened, spec_of, worker_spec

MODEL = b"the model"
X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))


def load(directory: Path, function, *, inputs=(X,), outputs=(Y,), files=None, **fields) -> Model:
    """Load a function as a model; the rest is for ``worker_spec``."""
    spec = worker_spec(MODEL, inputs, outputs, files=files, **fields)
    with opened(directory, MODEL, *(files or {}).values()) as descriptors:
        return load_model(spec, descriptors, FakeBackend({MODEL: function}), clock=ManualClock().monotonic_s)


def run_now(model: Model) -> Execute:
    """What executes a model without a line before it."""
    stop = model.session.new_stop()
    return lambda session, inputs: session.run(inputs, stop)


def ask(model: Model, *tensors: Tensor, **fields: object) -> Answer:
    """The answer to one request; raises its error."""
    (result,) = model.answer([model.question(*item_of(*tensors, **fields))], run_now(model))
    if isinstance(result, EdgedError):
        raise result
    return result


def floats(name: str, *values: float) -> Tensor:
    return to_tensor(name, np.array(values, dtype=np.float32))


def texts(name: str, *values: bytes) -> Tensor:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return to_tensor(name, array)
