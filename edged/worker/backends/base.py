"""What a worker needs from a runtime."""

from collections.abc import Mapping
from typing import Protocol

from edged.bundle.manifest import Variant
from edged.errors import DeadlineError
from edged.pipeline.spec import TensorSpec
from edged.worker.arrays import Array


class Stop(Protocol):
    """Ends a run before its time."""

    def set(self) -> None:
        """Have the run end with its next step, or not begin. For any thread, at any time, as often as one likes."""
        ...


class Session(Protocol):
    """A loaded model. Used by several threads at once; freed with its process."""

    @property
    def in_place(self) -> frozenset[str]:
        """Names of inputs whose elements may change while the model runs, with no harm but to the answer."""
        ...

    def new_stop(self) -> Stop:
        """Return what can stop a run of this session."""
        ...

    def run(self, inputs: Mapping[str, Array], stop: Stop) -> dict[str, Array]:
        """Run the model once.

        Args:
            inputs: All inputs of the variant and nothing else, of its datatypes and shapes; BYTES as object arrays of ``bytes``. They may
                be read-only, and are not used any more once this returns.
            stop: From ``new_stop`` of this session or another of the same backend. May be used for several runs, one after the other.

        Returns:
            All outputs of the variant, BYTES likewise. They may share memory with the inputs.

        Raises:
            TensorError: The model does not take these values.
            DeadlineError: It was stopped.
            BackendError: The runtime failed. The session stays usable.
        """
        ...


class Backend(Protocol):
    """A runtime."""

    @property
    def runtime(self) -> str:
        """Name and version, ``onnxruntime 1.21.0``."""
        ...

    def shrink(self) -> None:
        """Give back the memory that runs left behind for the next ones; never fails. For any thread, also while others run models."""
        ...

    def load(self, model: bytes, variant: Variant) -> Session:
        """Make a session from the bytes of a model file.

        Raises:
            IncompatibleError: The variant needs another version or provider than there is.
            UnsafeModelError: The model asks for what no model may.
            ModelLoadError: The runtime refuses the model, or its inputs and outputs are not those of the variant.
        """
        ...

    def load_graph(self, model: bytes, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> Session:
        """Make a session of an ONNX graph that is a step of a pipeline.

        Args:
            model: The bytes of its file.
            inputs: All that it has.
            outputs: Those to give; it may have others.

        Raises:
            UnsafeModelError: It asks for what no model may.
            ModelLoadError: The runtime refuses it, or its inputs and outputs are others.
        """
        ...


def stopped() -> DeadlineError:
    """Return the error of a run that was stopped: only a deadline or a caller that left ends a run before its time."""
    return DeadlineError("the run was stopped before it was finished", hint="Ask less, or allow more time.")
