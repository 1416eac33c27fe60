"""Read which tensors a model takes and gives, from the model itself, so that no manifest can say otherwise."""

from typing import Any

from edged.errors import BundleError, ModelLoadError
from edged.pipeline.spec import TensorSpec
from edged.worker.backends.ort import DATATYPES, PROVIDER, load_library, session_options


def read_tensors(data: bytes) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Load an ONNX model that was found safe and return its inputs and outputs; free axes are -1.

    Raises:
        ModelLoadError: ONNX Runtime cannot load it.
        BundleError: An input or output is not a tensor of a datatype the protocol has.
    """
    library = load_library()
    options = session_options(library)
    # Only the signature is wanted; optimising could take minutes.
    options.graph_optimization_level = library.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = library.InferenceSession(data, options, providers=[PROVIDER])
    except Exception as exc:  # ONNX Runtime has no common base class for its errors
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise ModelLoadError(f"ONNX Runtime cannot load the model: {reason}") from exc
    inputs = tuple(_spec(node) for node in session.get_inputs())
    return inputs, tuple(_spec(node) for node in session.get_outputs())


def _spec(node: Any) -> TensorSpec:
    dtype = DATATYPES.get(node.type)
    if dtype is None:
        raise BundleError(
            f"tensor {node.name!r} has type {node.type}, which apps cannot send or receive",
            hint="Convert it in the graph.",
        )
    # A free axis is a name or None; a negative size is how some exporters write one.
    shape = tuple(axis if isinstance(axis, int) and axis >= 0 else -1 for axis in node.shape)
    return TensorSpec(name=node.name, dtype=dtype, shape=shape)
