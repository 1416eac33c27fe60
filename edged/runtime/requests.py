"""Which tensors a request may carry. Checked by the daemon, so that a caller's mistake never reaches a worker, and by the worker again."""

from collections.abc import Mapping, Sequence

from edged.errors import TensorError
from edged.pipeline.spec import TensorSpec
from edged.runtime.arrays import check_spec
from edged.runtime.tensors import Tensor
from edged.runtime.wire import WorkerSpec


def check_request(spec: WorkerSpec, inputs: Sequence[Tensor], outputs: Sequence[str]) -> bool:
    """Check the names, datatypes and shapes of a request.

    Args:
        spec: Of the model.
        inputs: Either all of the pipeline's inputs or all of the model's own.
        outputs: Names wanted, each once; empty means all of the pipeline's.

    Returns:
        Whether the tensors are the model's own inputs and so skip the steps before it.

    Raises:
        TensorError: A tensor is missing, unknown, named twice, or not as the manifest says.
    """
    known = [item.name for item in spec.pipeline.outputs]
    if unknown := [name for name in outputs if name not in known]:
        raise TensorError(f"no output {unknown[0]}; there are {', '.join(known)}")
    if len(set(outputs)) != len(outputs):
        raise TensorError("an output is named twice")
    whole, raw = _by_name(spec.pipeline.inputs), _by_name(spec.variant.inputs)
    names = sorted(tensor.name for tensor in inputs)
    wanted = whole if names == sorted(whole) else raw
    if names != sorted(wanted):
        either = " or ".join(dict.fromkeys(", ".join(specs) for specs in (whole, raw)))
        raise TensorError(f"inputs are {', '.join(names) or 'none'}; expected {either}")
    for tensor in inputs:
        check_spec(tensor, wanted[tensor.name])
    return wanted is raw


def _by_name(specs: Sequence[TensorSpec]) -> Mapping[str, TensorSpec]:
    return {item.name: item for item in specs}
