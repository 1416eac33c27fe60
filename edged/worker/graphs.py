"""The ONNX graphs among a pipeline's steps: they run as the model does, each when it is its request's turn, and stop with it.

A step knows nothing of requests: it is called with arrays, and calls its graph. So who executes for the request of a thread is noted
here while the thread answers it.

What other steps compute waits for no turn and cannot be stopped. A request that is still among them when it should long have ended costs
the worker, as one does that is in a node of a model where nothing stops it.
"""

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from edged.errors import BundleError, TensorError
from edged.pipeline.kernels import Graph
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import fits
from edged.worker.arrays import Array, datatype_of
from edged.worker.backends import Backend, Session

Execute = Callable[[Session, Mapping[str, Array]], dict[str, Array]]
"""Runs a session once, when it is the request's turn; raises what ``Session.run`` does."""
Specs = tuple[TensorSpec, ...]


def execute_now(session: Session, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run a session at once, for nobody who could stop it."""
    return session.run(inputs, session.new_stop())


class Graphs:
    """Loads and runs graphs. Threads may use it at the same time.

    Args:
        backend: What executes them.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend: Final = backend
        self._thread = threading.local()

    @property
    def execute(self) -> Execute:
        """What runs the graphs that this thread comes to; ``execute_now`` unless it was set."""
        found: Execute = getattr(self._thread, "execute", execute_now)
        return found

    @execute.setter
    def execute(self, execute: Execute) -> None:
        self._thread.execute = execute

    def load(self, model: bytes, inputs: Specs, outputs: Specs) -> Graph:
        """Load a graph; see ``edged.pipeline.kernels.LoadGraph``."""
        return partial(self._run, self._backend.load_graph(model, inputs, outputs), inputs, outputs)

    def _run(self, session: Session, inputs: Specs, outputs: Specs, arrays: Mapping[str, Array]) -> dict[str, Array]:
        for spec in inputs:
            if differs(spec, arrays[spec.name]):
                raise TensorError(f"step graph@1 takes {spec.name} as {spec}, got {_described(arrays[spec.name])}")
        given = self.execute(session, arrays)
        for spec in outputs:
            if differs(spec, given[spec.name]):
                raise BundleError(
                    f"step graph@1 gives {spec.name} as {_described(given[spec.name])}, the manifest says {spec}",
                    hint="Correct the step's outputs; -1 stands for an axis of any size.",
                )
        return given


def differs(spec: TensorSpec, array: Array) -> bool:
    """Tell whether an array is not of a type."""
    return datatype_of(array) != spec.dtype or not fits(array.shape, spec.shape)


def _described(array: Array) -> str:
    return f"{datatype_of(array)} {list(array.shape)}"
