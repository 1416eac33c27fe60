"""Ask a model through shared memory: the tensor socket, whose protocol docs/tensor-socket.md specifies."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from edged.client.call import DATATYPES, Array, Call, Result, from_data, to_array, to_data
from edged.client.conversation import Conversation
from edged.client.memory import SharedMemory, aligned, needed_bytes
from edged.errors import EdgedError, TensorError
from edged.tensor_socket import Infer, Kind, Open, Placed, Room, TensorEntry

_NUMPY: Final = {datatype: np.dtype(name) for name, datatype in DATATYPES.items()}


_LONGEST_US: Final = 0xFFFF_FFFF
"""What a request can say, 71 minutes; a longer time is no other wish, because a session ends requests before that (``deadline_s``)."""
_LAST_PRIORITY: Final = 0xFFFF
"""Likewise; those that are less urgent go last, too."""


class _Asked(NamedTuple):
    """A request all of whose inputs lie in the shared memory, so that asking it again is saying it again."""

    inputs: tuple[tuple[str, Array, tuple[int, ...]], ...]
    """Names, arrays, and the shapes they had."""
    options: tuple[object, ...]
    message: Infer

    def is_again(self, inputs: Mapping[str, object], options: tuple[object, ...]) -> bool:
        """Tell whether a request is this one."""
        return (
            options == self.options
            and len(inputs) == len(self.inputs)
            and all(inputs.get(name) is array and array.shape == shape for name, array, shape in self.inputs)
        )


class Session:
    """One connection to one model, with memory that both use. Not for several threads at once.

    Args:
        path: The daemon's tensor socket.
        model: Its name.
        memory_bytes: For all inputs and outputs of a request.
        version: None asks whichever is active, also when that changes.
        is_background: Nobody waits for the answers.

    Raises:
        EdgedError: What the daemon says, as for ``Client.infer``.
        DaemonUnreachableError: Nobody answers at the socket.
        NotPermittedError: This user may not open it.
    """

    def __init__(
        self, path: str, model: str, *, memory_bytes: int, version: str | None = None, is_background: bool = False
    ) -> None:
        self.path: Final = path
        self.model: Final = model
        self._memory = SharedMemory(memory_bytes)
        try:
            opening = Open(model=model, version=version or "", is_background=is_background, wants_scales=True)
            self._conversation = Conversation(path, opening, self._memory.descriptor)
        except BaseException:
            self._memory.close()
            raise
        opened = self._conversation.opened
        self.deadline_s: Final = opened.deadline_us / 1e6
        """Longest time a request may take."""
        self._inputs = {e.name: e for e in opened.tensors if e.kind is Kind.INPUT}
        self._model_inputs = {e.name: e for e in opened.tensors if e.kind is Kind.MODEL_INPUT}
        self._outputs = {e.name: e for e in opened.tensors if e.kind is Kind.OUTPUT}
        self._outputs_by_index = {e.index: e for e in self._outputs.values()}
        self._asked: _Asked | None = None
        self._has_memory = True

    @property
    def version(self) -> str:
        """Of the model; follows when it is replaced."""
        return self._conversation.version

    @property
    def variant(self) -> str:
        """Of the model; likewise."""
        return self._conversation.variant

    @property
    def wanted_scale(self) -> float:
        """Share of the full size that the device's policy asks for, as of the last answer.

        That is what an app should send that prepares the model's input itself.
        """
        return self._conversation.wanted_scale

    @property
    def is_closed(self) -> bool:
        """True when nothing more can be asked."""
        return self._conversation.is_closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a request under way is stopped."""
        self._conversation.close()
        if self._has_memory:
            self._has_memory = False
            self._memory.close()

    def array(self, name: str, shape: Sequence[int]) -> Array:
        """Return an array for one of the model's inputs that lies in the shared memory; fill it, and ``infer`` with it copies nothing.

        Raises:
            TensorError: The model has no such input, it is BYTES, or there is no room left.
        """
        entry = self._entry(name)
        dtype = _NUMPY.get(entry.datatype.name)
        if dtype is None:
            raise TensorError(f"Input {name!r} is {entry.datatype.name}, which has no array of one size.")
        self._asked = None  # its outputs may have gone where this array is now
        return self._memory.keep(shape, dtype)

    def infer(
        self,
        inputs: Mapping[str, ArrayLike | bytes | str],
        *,
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
        priority: int = 0,
        sequence: int = 0,
        is_start: bool = False,
        is_end: bool = False,
    ) -> Result:
        """Ask once; as ``Client.infer``. Asking again with the very same arrays of ``array`` is quickest."""
        options = (tuple(outputs), timeout_s, priority, sequence, is_start, is_end)
        if self._asked is not None and self._asked.is_again(inputs, options):
            return self._ask(self._asked.message, timeout_s)
        call = Call(
            inputs={name: to_array(name, value) for name, value in inputs.items()},
            outputs=outputs,
            timeout_s=timeout_s,
            priority=priority,
            sequence=sequence,
            is_start=is_start,
            is_end=is_end,
        )
        message = self._place(call)
        if all(self._memory.offset_of(array) is not None for array in call.inputs.values()):
            arrays = tuple((name, array, array.shape) for name, array in call.inputs.items())
            self._asked = _Asked(arrays, options, message)
        return self._ask(message, timeout_s)

    @staticmethod
    def memory_for(call: Call) -> int:
        """Return how much memory requests such as this need, by all likelihood."""
        return needed_bytes(call.inputs)

    def has_room_for(self, call: Call) -> bool:
        """Tell whether the memory is large enough for a request such as this."""
        return self._memory.size - self._memory.kept_bytes >= needed_bytes(call.inputs)

    def ask(self, call: Call) -> Result:
        """Ask with everything a call can say.

        Raises:
            TensorError: Its inputs are not the model's, or do not fit into the memory (``facts["needed_bytes"]`` says how much would).
            EdgedError: As ``Client.infer``.
        """
        return self._ask(self._place(call), call.timeout_s)

    def _ask(self, message: Infer, timeout_s: float | None) -> Result:
        try:
            given = self._conversation.ask(message, self.deadline_s if timeout_s is None else timeout_s)
        except EdgedError:
            if self.is_closed:
                self.close()
            raise
        entries = self._outputs_by_index
        return Result(
            outputs={entries[item.index].name: self._read(entries[item.index], item) for item in given.outputs},
            model=self.model,
            version=self.version,
            variant=self.variant,
            scale=given.scale,
            wanted_scale=self.wanted_scale,
        )

    def _entry(self, name: str) -> TensorEntry:
        entry = self._inputs.get(name) or self._model_inputs.get(name)
        if entry is None:
            known = ", ".join(dict.fromkeys([*self._inputs, *self._model_inputs]))
            raise TensorError(f"The model has no input {name!r}; it has {known}.")
        return entry

    def _place(self, call: Call) -> Infer:
        """Put the inputs that are elsewhere into the memory, and give the rest of it to the outputs."""
        entries = self._inputs if call.inputs.keys() <= self._inputs.keys() else self._model_inputs
        at = self._memory.kept_bytes
        placed = []
        for name, array in call.inputs.items():
            entry = entries.get(name) or self._entry(name)
            datatype = "BYTES" if array.dtype == object else DATATYPES[array.dtype.name]
            if datatype != entry.datatype.name:
                raise TensorError(f"Input {name!r} is {entry.datatype.name}, not {datatype}.")
            offset = None if array.dtype == object else self._memory.offset_of(array)
            size = array.nbytes
            if offset is None:
                data = to_data(array)
                offset, size = at, len(data)
                self._memory.bytes_at(offset, size)[:] = np.frombuffer(data, dtype=np.uint8)
                at = aligned(offset + size)
            placed.append(Placed(index=entry.index, shape=array.shape, offset=offset, size=size))
        return Infer(
            request=1,
            inputs=tuple(placed),
            outputs=self._rooms(call, at),
            deadline_us=0 if call.timeout_s is None else min(max(1, round(call.timeout_s * 1e6)), _LONGEST_US),
            priority=min(call.priority, _LAST_PRIORITY),
            sequence=self._sequence(call),
            is_start=call.is_start,
            is_end=call.is_end,
        )

    def _rooms(self, call: Call, at: int) -> tuple[Room, ...]:
        """Share the rest of the memory among the outputs: those of a known size get that, the others equal parts of what is left."""
        wanted = []
        for name in call.outputs or self._outputs:
            if name not in self._outputs:
                raise TensorError(f"The model has no output {name!r}; it has {', '.join(self._outputs)}.")
            wanted.append(self._outputs[name])
        sizes = {entry.index: _known_size(entry) for entry in wanted}
        left = self._memory.size - at - sum(aligned(size) for size in sizes.values() if size is not None)
        free = sum(size is None for size in sizes.values())
        rooms = []
        for entry in wanted:
            size = sizes[entry.index]
            capacity = size if size is not None else max(0, left) // free // 64 * 64
            self._memory.bytes_at(at, capacity)
            rooms.append(Room(index=entry.index, offset=at, capacity=capacity))
            at = aligned(at + capacity)
        return tuple(rooms)

    @staticmethod
    def _sequence(call: Call) -> int:
        if isinstance(call.sequence, str):
            raise TensorError("A sequence has a number on the tensor socket.", hint="Choose an integer as its id.")
        return call.sequence

    def _read(self, entry: TensorEntry, item: Placed) -> Array:
        data = self._memory.bytes_at(item.offset, item.size)
        # A copy: the next request overwrites it.
        return from_data(data.tobytes(), entry.datatype.name, item.shape)


def _known_size(entry: TensorEntry) -> int | None:
    dtype = _NUMPY.get(entry.datatype.name)
    if dtype is None or -1 in entry.shape:
        return None
    return int(np.prod(entry.shape, dtype=np.int64)) * dtype.itemsize
