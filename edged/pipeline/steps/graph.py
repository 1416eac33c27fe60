"""A step that is an ONNX graph: for whatever the other steps do not do."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec, may_meet
from edged.pipeline.steps.base import MisfitError, StepBase, StepPath, StepRole


class GraphTensor(TensorSpec, frozen=True, kw_only=True):
    """An input or output of a graph: its name, datatype and shape there, and which tensor of the pipeline it is."""

    tensor: TensorName


GraphTensors = Annotated[tuple[GraphTensor, ...], msgspec.Meta(min_length=1, max_length=16)]


class Graph(StepBase, frozen=True, kw_only=True, tag="graph@1"):
    """Whatever an ONNX graph computes, on one thread of the CPU.

    ``inputs`` are all inputs of the graph in ``file``, ``outputs`` some or all of its outputs, with the datatypes and shapes they have
    there; -1 stands for an axis that the graph leaves open. The file is an ONNX model in a file of its own, and must pass the same safety
    checks as the model: no external data, no operators but those of the standard and ONNX Runtime's own.

    The graph's memory is part of the worker's limit. Its runs wait for their turn like those of the model, and end with the request.
    """

    FILES: ClassVar[Mapping[str, StepRole]] = {"file": "graph"}

    file: StepPath
    inputs: GraphTensors
    outputs: GraphTensors

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """The tensors of ``inputs``."""
        return tuple(item.tensor for item in self.inputs)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """The tensors of ``outputs``."""
        return tuple(item.tensor for item in self.outputs)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """What ``outputs`` say."""
        _all_differ("inputs", "name", [item.name for item in self.inputs])
        _all_differ("outputs", "name", [item.name for item in self.outputs])
        _all_differ("outputs", "tensor", self.writes)
        for i, item in enumerate(self.inputs):
            found = known[item.tensor]
            if not may_meet(found, item):
                raise MisfitError(f"inputs/{i}", expected=str(item), found=f"{item.tensor}, which is {found}")
        return tuple(TensorSpec(name=item.tensor, dtype=item.dtype, shape=item.shape) for item in self.outputs)


def _all_differ(kind: str, key: str, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise MisfitError(f"{kind}/{i}/{key}", expected="a name that no other has", found=name)
