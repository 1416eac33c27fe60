"""The answers to one run: what they have to be, where they may lie, and reading them from there.

A small answer comes with the worker's message. For a large one there is a room: made before the run where the manifest tells its size
or the last answer was large, too, and else when the worker asks, which it may do once. Whatever a worker writes to a room is
copied out before it is looked at: the worker could change it meanwhile.

With an answer may come what the steps before the model made of the request (``edged.runtime.calls.Features``). That goes the same way, and
has to be of the types that it has in the bundle, and of no more bytes than are wanted; a worker may leave it out.
"""

from collections.abc import Sequence
from contextlib import suppress
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


class Wanted:
    """What is wanted of one request.

    Args:
        outputs: In order.
        features: What the steps before the model make of it, where the answer may bring that.
        most_feature_bytes: That this may have in all.
        had_features: They are known already.
    """

    __slots__ = ("features", "had_features", "most_feature_bytes", "outputs", "tensors")

    def __init__(
        self,
        outputs: Sequence[TensorSpec],
        features: Sequence[TensorSpec] = (),
        *,
        most_feature_bytes: int = 0,
        had_features: bool = False,
    ) -> None:
        self.outputs: Final = outputs
        self.features: Final = features
        self.most_feature_bytes: Final = most_feature_bytes
        self.had_features: Final = had_features
        self.tensors: Final = (*outputs, *features)
        """All that an answer may bring."""


class Answers:
    """What a worker may answer to one run.

    Args:
        wanted: Of each request.
        memory: Of the model.
    """

    __slots__ = ("_asked", "_memory", "_places", "_refusal", "_rooms", "_wanted", "largest_bytes")

    def __init__(self, wanted: Sequence[Wanted], memory: SharedMemory) -> None:
        self.largest_bytes = 0
        """In rooms, of the largest answer that lay in one; without features."""
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
        """Make the rooms that a worker asks for; when there is no memory, those for the outputs alone, and else those answers are refused.

        Returns:
            A place for each answer that needs one, which for some is the one they had already.

        Raises:
            WireError: It has no reason to ask, or not for so much.
        """
        if self._asked is not None or message.answers:
            raise WireError("it asks for rooms in a way that nobody understands")
        _check_sizes(message.room_bytes, [wanted.tensors for wanted in self._wanted])
        _check_sizes(message.least_bytes or [0] * len(self._wanted), [wanted.outputs for wanted in self._wanted])
        self._asked = message.room_bytes
        try:
            self._make_rooms(message.room_bytes)
        except UnavailableError as exc:
            self._refusal = exc
            if any(message.least_bytes):
                with suppress(UnavailableError):
                    self._make_rooms(message.least_bytes)
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
        heads, wanted = answer.tensors, self._wanted[i]
        check_heads(heads, wanted.outputs)
        if answer.features:
            check_heads(answer.features, wanted.features)
            if (size := sum(head.size for head in answer.features)) > wanted.most_feature_bytes:
                raise WireError(f"features of {size} bytes; at most {wanted.most_feature_bytes} are wanted")
            heads = (*heads, *answer.features)
        parts, start = split(heads, payload, start)
        if None in parts:
            self._check_space(i, heads, len(answer.tensors))
        tensors = [
            tensor_of(head, self._read(i, head) if part is None else bytes(part))
            for head, part in zip(heads, parts, strict=True)
        ]
        batch = len(self._wanted)
        if not answer.features:
            return InferResult(outputs=tensors, run_s=run_s, batch=batch, had_features=wanted.had_features), start
        outputs, features = tensors[: len(answer.tensors)], tensors[len(answer.tensors) :]
        return InferResult(outputs=outputs, run_s=run_s, batch=batch, features=features), start

    def _check_space(self, i: int, heads: Sequence[TensorHead], outputs: int) -> None:
        """Check that all of an answer has space in its rooms; the first heads are so many outputs."""
        # Tensors in the same place would be copied one by one: a small room could become a lot of memory here.
        sizes = [aligned(head.size) if head.segment else 0 for head in heads]
        lying = sum(sizes)
        self.largest_bytes = max(self.largest_bytes, sum(sizes[:outputs]))
        if lying > sum(place.size for place in self._places[i]):
            raise WireError(f"{lying} bytes of answers lie where there is no space for them")

    def _read(self, i: int, head: TensorHead) -> bytes:
        for place in self._places[i]:
            if head.segment == place.segment:
                if not place.offset <= head.offset <= head.offset + head.size <= place.offset + place.size:
                    raise WireError(f"output {head.name} lies outside its room")
                return self._rooms[place.segment].read(head.offset, head.size)
        raise WireError(f"output {head.name} lies in segment {head.segment}, which is no room for it")


def _check_sizes(sizes: Sequence[int], specs: Sequence[Sequence[TensorSpec]]) -> None:
    """Check that room is asked for in a way that makes sense: for each answer, and not for more than it has."""
    if len(sizes) != len(specs):
        raise WireError(f"it asks for {len(sizes)} rooms for {len(specs)} answers")
    for size, tensors in zip(sizes, specs, strict=True):
        most = fixed_bytes(tensors)
        if most is not None and size > most:
            raise WireError(f"it asks for room for {size} bytes; its outputs have {most}")
