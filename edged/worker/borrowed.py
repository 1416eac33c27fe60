"""What the steps after a model read from before it: beside a request that goes through the model, and among its features.

Features (``edged.runtime.calls.Features``) have it without what the model takes itself. Of a tensor of which those steps read nothing but
the shape, features have the shape alone: a photo that is only there to keep boxes inside of it would be most of all that is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from edged.errors import TensorError
from edged.pipeline.spec import TensorSpec
from edged.runtime.wire import WorkerSpec
from edged.worker.arrays import Array
from edged.worker.scaled import Scaled


class Borrowed:
    """What the steps after one model need from before it.

    Args:
        spec: Of the model.
        scaled: The steps.
    """

    def __init__(self, spec: WorkerSpec, scaled: Scaled) -> None:
        self._scaled = scaled
        # Outputs of the model hide what had their names before it.
        self.names: Final[frozenset[str]] = spec.pipeline.borrowed - {item.name for item in spec.variant.outputs}
        self._beside = self.names - {item.name for item in spec.variant.inputs}
        self._measured = self._beside & spec.pipeline.measured

    def take(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Take it from what there is before the model.

        Raises:
            TensorError: Something is missing.
        """
        if missing := sorted(self.names - arrays.keys()):
            raise TensorError(
                f"a step after the model needs {', '.join(missing)} from before it",
                hint="Send the inputs of the pipeline, not those of the model.",
            )
        return {name: arrays[name] for name in self.names}

    def types(self, scale: float) -> Sequence[TensorSpec]:
        """Return its types as features have it, at a scale."""
        return [spec for spec in self._scaled.at(scale).borrowed if spec.name in self._beside]

    def pack(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return it as features have it."""
        return {
            name: np.array(arrays[name].shape, np.int64) if name in self._measured else arrays[name]
            for name in sorted(self._beside)
        }

    def unpack(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return features as steps can read them.

        Raises:
            TensorError: There can be no tensor of a shape.
        """
        return {**arrays, **{name: _of_shape(name, arrays[name].tolist()) for name in self._measured}}


def _of_shape(name: str, shape: Sequence[int]) -> Array:
    """Return an array of a shape, which has one element in all places."""
    try:
        return np.broadcast_to(np.uint8(0), shape)
    except ValueError as exc:
        raise TensorError(f"tensor {name}: no array can have shape {shape}") from exc
