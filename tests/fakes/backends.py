"""A backend without a runtime: its model files are Python expressions over their inputs, for tests only."""

import inspect
import threading
from collections.abc import Callable, Mapping, Sequence

from edged.bundle.manifest import Variant
from edged.errors import BackendError, IncompatibleError, ModelLoadError, TensorError
from edged.onnx.in_place import DATATYPES
from edged.pipeline.spec import TensorSpec
from edged.select.versions import is_in_range
from edged.worker.arrays import Array
from edged.worker.backends import stopped


class FakeStop(threading.Event):
    """Is set when its run is to stop."""

    def __init__(self) -> None:
        super().__init__()
        self._others: list[threading.Event] = []

    def set(self) -> None:
        super().set()
        for event in self._others:
            event.set()

    def sets(self, event: threading.Event) -> None:
        """Have an event set together with this one, for a model that waits for either."""
        self._others.append(event)
        if self.is_set():
            event.set()


class Blocking:
    """A model that says when it has begun and ends when it may, or is stopped. The first element of ``x`` is its name."""

    def __init__(self, *, names: int = 10) -> None:
        self.begun = [threading.Event() for _ in range(names)]
        self.may_end = [threading.Event() for _ in range(names)]

    def __call__(self, x: Array, stop: FakeStop) -> dict[str, Array]:
        name = int(x[0])
        stop.sets(self.may_end[name])
        self.begun[name].set()
        self.may_end[name].wait()
        return {"y": x}


class FakeBackend:
    """Loads the models it was made with, by their bytes. A model that takes ``stop`` gets what stops its run."""

    runtime = "onnxruntime 1.21.0"

    def __init__(self, models: Mapping[bytes, Callable[..., dict[str, Array]]]) -> None:
        self._models = models

    def shrink(self) -> None:
        """Do nothing: what a model of this backend needs is gone when it returns."""

    def load(self, model: bytes, variant: Variant) -> "FakeSession":
        if not is_in_range("1.21.0", variant.runtime.version):
            raise IncompatibleError(f"{variant.id} needs onnxruntime {variant.runtime.version}, this device has 1.21.0")
        if model not in self._models:
            raise ModelLoadError(f"{variant.id}: unknown model")
        return FakeSession(self._models[model], variant.inputs)

    def load_graph(
        self, model: bytes, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> "FakeSession":
        if model not in self._models:
            raise ModelLoadError(f"the graph that gives {', '.join(spec.name for spec in outputs)}: unknown model")
        return FakeSession(self._models[model], inputs)


class FakeSession:
    def __init__(self, function: Callable[..., dict[str, Array]], inputs: Sequence[TensorSpec]) -> None:
        self._function = function
        self._inputs = {spec.name for spec in inputs}
        self._takes_stop = "stop" in inspect.signature(function).parameters
        self.in_place = frozenset(spec.name for spec in inputs if spec.dtype in DATATYPES)

    def new_stop(self) -> FakeStop:
        return FakeStop()

    def run(self, inputs: Mapping[str, Array], stop: FakeStop) -> dict[str, Array]:
        if inputs.keys() != self._inputs:
            raise AssertionError(f"a model gets its inputs and nothing else, not {sorted(inputs)}")
        if stop.is_set():
            raise stopped()
        try:
            outputs = self._function(**inputs, **({"stop": stop} if self._takes_stop else {}))
        except UnicodeDecodeError as exc:
            raise TensorError(str(exc)) from exc
        except ValueError as exc:
            raise BackendError(str(exc)) from exc
        if stop.is_set():
            raise stopped()
        return outputs
