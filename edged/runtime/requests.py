"""Which tensors a request may carry. Checked by the daemon, so that a caller's mistake never reaches a worker, and by the worker again."""

from collections.abc import Iterable, Mapping, Sequence

from edged.errors import RequestError, TensorError
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Described, check_spec
from edged.runtime.wire import WorkerSpec

Specs = Mapping[str, TensorSpec]


class Signature:
    """The requests one model takes; made once for a model, because it is asked for every request."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._outputs = tuple(item.name for item in spec.pipeline.outputs)
        self._states = frozenset(state.input for state in spec.variant.state)
        # Either the pipeline's inputs or the model's own; within a sequence, both without the states.
        self._alone = (_by_name(spec.pipeline.inputs), _by_name(spec.variant.inputs))
        self._in_sequence = tuple(
            {name: item for name, item in specs.items() if name not in self._states} for specs in self._alone
        )

    def check(
        self,
        inputs: Sequence[Described],
        outputs: Sequence[str],
        *,
        in_sequence: bool = False,
    ) -> bool:
        """Check the names, datatypes and shapes of a request.

        Args:
            inputs: Either all of the pipeline's inputs or all of the model's own; within a sequence without those that are states.
            outputs: Names wanted, each once; empty means all of the pipeline's.
            in_sequence: The request belongs to a sequence.

        Returns:
            Whether the tensors are the model's own inputs and so skip the steps before it.

        Raises:
            TensorError: A tensor is missing, unknown, named twice, or not as the manifest says.
            RequestError: The model has no states, so it knows no sequences.
        """
        if outputs:
            self._check_outputs(outputs)
        if in_sequence and not self._states:
            raise RequestError(
                "this model keeps no state, so it takes no requests of a sequence",
                pointer="/parameters/sequence_id",
                hint="Send the request without sequence_id.",
            )
        whole, raw = self._in_sequence if in_sequence else self._alone
        return self._check_inputs(inputs, (whole, raw), in_sequence=in_sequence) is raw

    def check_features(
        self, features: Sequence[Described], outputs: Sequence[str], borrowed: Sequence[TensorSpec]
    ) -> None:
        """Check what is sent in place of a request's inputs: the model's own, and what steps after the model read beside them.

        Args:
            features: As they were sent.
            outputs: As for ``check``.
            borrowed: The types of all that steps after the model read from before it, at the request's scale.

        Raises:
            TensorError: As ``check``.
        """
        if outputs:
            self._check_outputs(outputs)
        _, raw = self._alone
        self._check_inputs(features, (_by_name(borrowed) | raw,), in_sequence=False)

    def _check_inputs(self, inputs: Sequence[Described], forms: Sequence[Specs], *, in_sequence: bool) -> Specs:
        """Return the first form with the names of the inputs, which have its types."""
        given = {tensor.name: tensor for tensor in inputs}
        wanted = next((form for form in forms if form.keys() == given.keys()), None)
        if wanted is None or len(given) != len(inputs):
            raise self._names_differ([tensor.name for tensor in inputs], forms, in_sequence=in_sequence)
        for name, tensor in given.items():
            check_spec(tensor, wanted[name])
        return wanted

    def _check_outputs(self, outputs: Sequence[str]) -> None:
        if unknown := [name for name in outputs if name not in self._outputs]:
            raise TensorError(f"no output {unknown[0]}; there are {', '.join(self._outputs)}")
        if len(set(outputs)) != len(outputs):
            raise TensorError("an output is named twice")

    def _names_differ(self, names: Sequence[str], forms: Iterable[Specs], *, in_sequence: bool) -> TensorError:
        if in_sequence and (states := sorted(self._states.intersection(names))):
            return TensorError(
                f"input {states[0]} is a state, which the sequence keeps",
                hint="Leave it out, or send all states with every request and no sequence_id.",
            )
        either = " or ".join(dict.fromkeys(", ".join(specs) for specs in forms))
        return TensorError(f"inputs are {', '.join(sorted(names)) or 'none'}; expected {either}")


def _by_name(specs: Sequence[TensorSpec]) -> dict[str, TensorSpec]:
    return {item.name: item for item in specs}
