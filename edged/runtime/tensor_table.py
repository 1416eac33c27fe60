"""The tensors of a model as clients of the tensor socket know them: by numbers. Pure; the same in the daemon and in a worker."""

from collections.abc import Collection, Sequence

from edged.pipeline.spec import TensorSpec
from edged.tensor_socket import Datatype, Kind, TensorEntry


def table_of(
    inputs: Sequence[TensorSpec],
    model_inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    states: Collection[str],
) -> tuple[TensorEntry, ...]:
    """Return all tensors in the order of their numbers: inputs, the model's own inputs, outputs.

    Args:
        inputs: Of the pipeline.
        model_inputs: Of the model.
        outputs: Of the pipeline.
        states: Names of inputs that edged keeps for sequences.
    """
    kinds = [*((Kind.INPUT, spec) for spec in inputs), *((Kind.MODEL_INPUT, spec) for spec in model_inputs)]
    taken = tuple(_entry(kind, index, spec, is_state=spec.name in states) for index, (kind, spec) in enumerate(kinds))
    return (*taken, *(_entry(Kind.OUTPUT, index, spec, is_state=False) for index, spec in enumerate(outputs)))


def _entry(kind: Kind, index: int, spec: TensorSpec, *, is_state: bool) -> TensorEntry:
    return TensorEntry(
        kind=kind, index=index, name=spec.name, datatype=Datatype[spec.dtype], shape=spec.shape, is_state=is_state
    )
