"""A backend without a runtime: its model files are Python expressions over their inputs, for tests only."""

from collections.abc import Callable, Mapping

from edged.bundle.manifest import Variant
from edged.errors import BackendError, IncompatibleError, ModelLoadError, TensorError
from edged.runtime.arrays import Array
from edged.runtime.backends.ort import is_in_range


class FakeBackend:
    """Loads the models it was made with, by their bytes."""

    runtime = "onnxruntime 1.21.0"

    def __init__(self, models: Mapping[bytes, Callable[..., dict[str, Array]]]) -> None:
        self._models = models

    def load(self, model: bytes, variant: Variant) -> "FakeSession":
        if not is_in_range("1.21.0", variant.runtime.version):
            raise IncompatibleError(f"{variant.id} needs onnxruntime {variant.runtime.version}, this device has 1.21.0")
        if model not in self._models:
            raise ModelLoadError(f"{variant.id}: unknown model")
        return FakeSession(self._models[model], variant)


class FakeSession:
    def __init__(self, function: Callable[..., dict[str, Array]], variant: Variant) -> None:
        self._function = function
        self._variant = variant

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return self._function(**{spec.name: inputs[spec.name] for spec in self._variant.inputs})
        except UnicodeDecodeError as exc:
            raise TensorError(str(exc)) from exc
        except ValueError as exc:
            raise BackendError(str(exc)) from exc
