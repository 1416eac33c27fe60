"""What an arrangement of tensors in a client's memory means: which arrays a request brings, and where its answer goes.

Clients mostly send the same arrangement again with other bytes in it, so it is worked out once and used for every request that has it.

The client can change its memory at any time. An input stays where it is only if that can spoil nothing but its answer
(``edged.onnx.in_place``) and copying it would cost something; any other is copied before it is looked at. Outputs are copied into
the client's memory when the model has run, and never read there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from edged.errors import TensorError
from edged.pipeline.datatypes import size_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.refusals import RoomError
from edged.runtime.wire import Item, Step, TensorHead, WorkerSpec
from edged.tensor_socket import Infer, Placed, Result, Room, encode
from edged.tensor_socket.messages import ALIGNMENT, permille
from edged.tensor_socket.repeats import renumber_result
from edged.worker.arrays import bytes_of
from edged.worker.model import Answer, Model
from edged.worker.question import Question

IN_PLACE_BYTES: Final = 64 << 10
"""A copy of less costs a few microseconds at most."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """The tensors of a model by their numbers in the protocol (``edged.runtime.tensor_table``)."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]
    first_raw: int
    """From here on they are the model's own inputs."""
    in_place: frozenset[int]
    """Inputs that may stay in the client's memory."""

    @classmethod
    def of(cls, spec: WorkerSpec, in_place: frozenset[str]) -> "Numbered":
        """Number the tensors of a model.

        Args:
            spec: What the worker runs.
            in_place: Names of the model's own inputs that may stay in the client's memory.
        """
        ours, raw = spec.pipeline.inputs, spec.variant.inputs
        # Steps before the model may use values as lengths and places; without them the model's inputs are the pipeline's.
        kept = () if spec.pipeline.pre else ours
        return cls(
            inputs=(*ours, *raw),
            outputs=spec.pipeline.outputs,
            first_raw=len(ours),
            in_place=frozenset(
                [
                    *(index for index, tensor in enumerate(kept) if tensor.name in in_place),
                    *(index for index, tensor in enumerate(raw, len(ours)) if tensor.name in in_place),
                ]
            ),
        )


class Arrangement:
    """One arrangement in one client's memory. Used by one thread at a time.

    Args:
        infer: A request that has it.
        memory: Of the client.
        tensors: Of the model.
        model: What answers.
        tells_scale: Answers say at which scale the steps before the model were done.

    Raises:
        TensorError: Tensors lie where there is no memory, or the model does not take or give them.
        RoomError: An output of a size that is known has too little room.
    """

    def __init__(self, infer: Infer, memory: memoryview, tensors: Numbered, model: Model, *, tells_scale: bool) -> None:
        self._model = model
        self._memory = memory
        self._tells_scale = tells_scale
        self._copies: list[tuple[memoryview, memoryview]] = []
        heads, self._parts = self._place_inputs(infer.inputs, tensors)
        self._rooms = infer.outputs
        names = tuple(_output(i, room, tensors, len(memory)).name for i, room in enumerate(infer.outputs))
        self._item = Item(tensors=tuple(heads), outputs=names)
        self._has_texts = any(head.dtype == "BYTES" for head in heads)
        self._question: Question | None = None
        self._scale = 1.0
        """That was asked for of that question."""
        self._sizes: Sequence[tuple[tuple[int, ...], int]] = ()
        self._result = bytearray()

    @property
    def copied_bytes(self) -> int:
        """Memory of its own that it holds."""
        return sum(len(copy) for copy, _ in self._copies)

    def question(self, step: Step | None, scale: float = 1.0) -> Question:
        """Read a request; all requests of one arrangement belong to sequences, or none does.

        Args:
            step: Of its sequence.
            scale: Share of the full size that is asked for.

        Raises:
            TensorError: The model does not take these tensors.
            RequestError: It keeps no states.
        """
        for copy, place in self._copies:
            copy[:] = place
        question = self._question
        if question is None or self._has_texts or scale != self._scale:
            item = Item(tensors=self._item.tensors, outputs=self._item.outputs, sequence=step, scale=scale)
            question = self._question = self._model.question(item, self._parts)
            if scale != self._scale:
                self._scale = scale
                self._sizes = ()  # the answer written last says another scale
        return question if step is question.step else replace(question, step=step)

    def write(self, answer: Answer, *, request: int, run_ns: int) -> bytes | bytearray:
        """Put an answer into the client's memory.

        Returns:
            The message that says so, valid until the next call.

        Raises:
            RoomError: An output has too little room; others may have been written.
        """
        sizes = []
        for room, (name, array) in zip(self._rooms, answer.items(), strict=True):
            data = bytes_of(array)
            size = len(data)
            if size > room.capacity:
                raise RoomError(name, output=room.index, room_bytes=room.capacity, needed_bytes=size)
            self._memory[room.offset : room.offset + size] = data
            sizes.append((array.shape, size))
        if sizes != self._sizes:
            outputs = tuple(
                Placed(index=room.index, shape=shape, offset=room.offset, size=size)
                for room, (shape, size) in zip(self._rooms, sizes, strict=True)
            )
            result = Result(request=request, run_ns=run_ns, outputs=outputs, scale_permille=self._scale_permille())
            self._result = bytearray(encode(result))
            self._sizes = sizes
        else:
            renumber_result(self._result, request=request, run_ns=run_ns)
        return self._result

    def _scale_permille(self) -> int:
        question = self._question
        if not self._tells_scale or question is None:
            return 0
        scale = self._model.prepared_scale(question)
        return permille(scale) if scale else 0

    def _place_inputs(self, inputs: Sequence[Placed], tensors: Numbered) -> tuple[list[TensorHead], list[memoryview]]:
        heads, parts = [], []
        for i, item in enumerate(inputs):
            if item.index >= len(tensors.inputs):
                raise TensorError(f"input {i}: the model has no input {item.index}")
            if (item.index >= tensors.first_raw) != (inputs[0].index >= tensors.first_raw):
                raise TensorError(f"input {i}: inputs and the model's own inputs are mixed")
            spec = tensors.inputs[item.index]
            _check_place(item.offset, item.size, len(self._memory), f"input {i}")
            part = self._memory[item.offset : item.offset + item.size]
            if item.size < IN_PLACE_BYTES or item.index not in tensors.in_place:
                copy = memoryview(bytearray(item.size))
                self._copies.append((copy, part))
                part = copy
            heads.append(TensorHead(name=spec.name, dtype=spec.dtype, shape=item.shape, size=item.size))
            parts.append(part)
        return heads, parts


def _output(i: int, room: Room, tensors: Numbered, memory_bytes: int) -> TensorSpec:
    if room.index >= len(tensors.outputs):
        raise TensorError(f"output {i}: the model has no output {room.index}")
    _check_place(room.offset, room.capacity, memory_bytes, f"output {i}")
    spec = tensors.outputs[room.index]
    if spec.dtype != "BYTES" and -1 not in spec.shape:
        needed = size_bytes(spec.dtype, spec.shape)
        if needed > room.capacity:
            raise RoomError(spec.name, output=room.index, room_bytes=room.capacity, needed_bytes=needed)
    return spec


def _check_place(offset: int, size: int, memory_bytes: int, where: str) -> None:
    if offset % ALIGNMENT:
        raise TensorError(f"{where}: offset {offset} is not a multiple of {ALIGNMENT}")
    if offset + size > memory_bytes:
        raise TensorError(
            f"{where}: {size} bytes at {offset} reach past the end of the memory, which has {memory_bytes}"
        )
