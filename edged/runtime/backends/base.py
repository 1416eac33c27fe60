"""What a worker needs from a runtime."""

from collections.abc import Mapping
from typing import Protocol

from edged.bundle.manifest import Variant
from edged.runtime.arrays import Array


class Session(Protocol):
    """A loaded model. Used by one thread at a time; freed with its process."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: All inputs of the variant, of its datatypes and shapes; BYTES as object arrays of ``bytes``.

        Returns:
            All outputs of the variant, BYTES likewise.

        Raises:
            TensorError: The model does not take these values.
            BackendError: The runtime failed. The session stays usable.
        """
        ...


class Backend(Protocol):
    """A runtime."""

    @property
    def runtime(self) -> str:
        """Name and version, ``onnxruntime 1.21.0``."""
        ...

    def load(self, model: bytes, variant: Variant) -> Session:
        """Make a session from the bytes of a model file.

        Raises:
            IncompatibleError: The variant needs another version or provider than there is.
            UnsafeModelError: The model asks for what no model may.
            ModelLoadError: The runtime refuses the model, or its inputs and outputs are not those of the variant.
        """
        ...
