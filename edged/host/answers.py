"""The answers to one run: what they have to be, where they may lie, and reading them from there.

A small answer comes with the worker's message. For a large one there is a room: made before the run where the manifest tells its size
or the last answer was large, too, and else when the worker asks, which it may do once. Whatever a worker writes to a room is
copied out before it is looked at: the worker could change it meanwhile.
"""

from collections.abc import Sequence
from typing import Final

from edged.errors import EdgedError, UnavailableError
from edged.host.remote import check_heads, error_of, tensor_of
from edged.pipeline.datatypes import size_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Outcome
from edged.runtime.memory import Room, SharedMemory
from edged.runtime.tensors import InferResult
from edged.runtime.wire import (
    INLINE_BYTES,
    MAX_INLINE_BYTES,
    Answered,
    Failed,
    Place,
    Ran,
    TensorHead,
    WireError,
    aligned,
    split,
)


def fixed_bytes(specs: Sequence[TensorSpec]) -> int | None:
    """Return the bytes that tensors of these specifications have in a room; None when that depends on the run."""
    total = 0
    for spec in specs:
        if spec.dtype == "BYTES" or -1 in spec.shape:
            return None
        total += aligned(size_bytes(spec.dtype, spec.shape))
    return total


class Answers:
    """What a worker may answer to one run.

    Args:
        wanted: For each request the outputs it asked for, in order.
        memory: Of the model.
    """

    __slots__ = ("_asked", "_memory", "_places", "_refusal", "_rooms", "_wanted", "largest_bytes")

    def __init__(self, wanted: Sequence[Sequence[TensorSpec]], memory: SharedMemory) -> None:
        self.largest_bytes = 0
        """In rooms, of the largest answer that lay in one."""
        self._wanted: Final = wanted
        self._memory = memory
        self._rooms: dict[int, Room] = {}
        self._places: list[list[Place]] = [[] for _ in wanted]
        self._asked: Sequence[int] | None = None
        self._refusal: UnavailableError | None = None
        """Why there is no room for what was asked for."""

    @property
    def rooms(self) -> Sequence[Room]:
        """Those that were made, first to last."""
        return tuple(self._rooms.values())

    def make_rooms_ahead(self, sizes: Sequence[int | None], expected_bytes: int) -> Sequence[Place | None]:
        """Make room for answers that will be large.

        Args:
            sizes: Of each answer, in bytes; None where nobody knows.
            expected_bytes: What to assume where nobody knows.

        Returns:
            A place for each answer that gets one. None at all when there is no memory: the worker asks if it needs it.
        """
        known = [expected_bytes if size is None else size for size in sizes]
        limit = INLINE_BYTES if sum(known) <= MAX_INLINE_BYTES else 0
        known = [size if size > limit else 0 for size in known]
        if not any(known):
            return [None] * len(sizes)
        try:
            return self._make_rooms(known)
        except UnavailableError:
            return [None] * len(sizes)

    def make_rooms(self, message: Ran) -> Sequence[Place | None]:
        """Make the rooms that a worker asks for; when there is no memory, those answers are refused.

        Returns:
            A place for each answer that needs one, which for some is the one they had already.

        Raises:
            WireError: It has no reason to ask, or not for so much.
        """
        if self._asked is not None or message.answers or len(message.room_bytes) != len(self._wanted):
            raise WireError("it asks for rooms in a way that nobody understands")
        for specs, size in zip(self._wanted, message.room_bytes, strict=True):
            most = fixed_bytes(specs)
            if most is not None and size > most:
                raise WireError(f"it asks for room for {size} bytes; its outputs have {most}")
        self._asked = message.room_bytes
        try:
            self._make_rooms(message.room_bytes)
        except UnavailableError as exc:
            self._refusal = exc
        return [places[-1] if places else None for places in self._places]

    def outcomes(self, message: Ran, payload: memoryview) -> list[Outcome]:
        """Return what the callers get, one for each request.

        Raises:
            WireError: These are no answers to this run.
        """
        if len(message.answers) != len(self._wanted):
            raise WireError(f"{len(message.answers)} answers to {len(self._wanted)} requests")
        outcomes: list[Outcome] = []
        start = 0
        for i, answer in enumerate(message.answers):
            if isinstance(answer, Failed):
                outcomes.append(self._error(i, answer))
                continue
            result, start = self._result(i, answer, message.run_s, payload, start)
            outcomes.append(result)
        if start != len(payload):
            raise WireError(f"{len(payload) - start} bytes behind the last tensor")
        return outcomes

    def release(self) -> None:
        """Give the rooms back; the worker writes to them no more."""
        for room in self._rooms.values():
            room.release()
        self._rooms.clear()

    def _make_rooms(self, sizes: Sequence[int]) -> list[Place | None]:
        room = self._memory.take_room(sum(map(aligned, sizes)))
        self._rooms[room.number] = room
        places: list[Place | None] = []
        offset = 0
        for i, size in enumerate(sizes):
            if not size:
                places.append(None)
                continue
            # Alone it gets all there is, so that an answer a little larger than the last one need not ask.
            has_all = len(sizes) == 1
            place = Place(segment=room.number, offset=offset, size=room.size if has_all else aligned(size))
            offset += aligned(size)
            places.append(place)
            self._places[i].append(place)
        return places

    def _error(self, i: int, answer: Failed) -> EdgedError:
        if self._refusal is not None and self._asked is not None and self._asked[i]:
            return self._refusal
        return error_of(answer)

    def _result(
        self, i: int, answer: Answered, run_s: float, payload: memoryview, start: int
    ) -> tuple[InferResult, int]:
        heads = answer.tensors
        check_heads(heads, self._wanted[i])
        parts, start = split(heads, payload, start)
        if None in parts:
            self._check_space(i, heads)
        outputs = [
            tensor_of(head, self._read(i, head) if part is None else bytes(part))
            for head, part in zip(heads, parts, strict=True)
        ]
        return InferResult(outputs=outputs, run_s=run_s, batch=len(self._wanted)), start

    def _check_space(self, i: int, heads: Sequence[TensorHead]) -> None:
        # Tensors in the same place would be copied one by one: a small room could become a lot of memory here.
        lying = sum(aligned(head.size) for head in heads if head.segment)
        self.largest_bytes = max(self.largest_bytes, lying)
        if lying > sum(place.size for place in self._places[i]):
            raise WireError(f"{lying} bytes of answers lie where there is no space for them")

    def _read(self, i: int, head: TensorHead) -> bytes:
        for place in self._places[i]:
            if head.segment == place.segment:
                if not place.offset <= head.offset <= head.offset + head.size <= place.offset + place.size:
                    raise WireError(f"output {head.name} lies outside its room")
                return self._rooms[place.segment].read(head.offset, head.size)
        raise WireError(f"output {head.name} lies in segment {head.segment}, which is no room for it")
