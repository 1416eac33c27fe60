"""How the answers of a run travel to the daemon.

The rules, for each answer in turn:

(1) a small one goes with the message, as long as the message has space
(2) another one goes into the room it was given, if it fits
(3) if one fits nowhere, the worker asks for rooms for all of those, and gives all answers once it has them
(4) one that has no room even then goes without what the steps before the model made, if that was wanted, or it is an error

In a message and in a room, what those steps made lies behind the outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from edged.errors import BackendError, EdgedError
from edged.pipeline.spec import Datatype
from edged.runtime.wire import (
    INLINE_BYTES,
    MAX_INLINE_BYTES,
    Answered,
    Buffer,
    Failed,
    LoadFailed,
    Place,
    Ran,
    TensorHead,
    WireError,
    aligned,
)
from edged.worker.arrays import Array, bytes_of, datatype_of
from edged.worker.segments import Segments

Arrays = Mapping[str, Array]
MAX_TEXT: Final = 1000
"""Characters of a message or a hint; a whole batch of them has to fit into a datagram."""


class _Output(NamedTuple):
    name: str
    dtype: Datatype
    shape: tuple[int, ...]
    data: Buffer
    size: int


class Reply:
    """What a run gave.

    Args:
        run: Its number.
        results: One for each of its items. Their arrays stay in use until the reply is no longer needed, or ``keep`` is called.
        run_s: Seconds it took.
        features: What the steps before the model made of items, by their place among them; of those for which it is wanted.
    """

    def __init__(
        self,
        run: int,
        results: Sequence[Arrays | EdgedError],
        run_s: float,
        *,
        features: Mapping[int, Arrays],
    ) -> None:
        self.run: Final = run
        self._run_s = run_s
        self._answers: list[list[_Output] | Failed] = [
            failed(result) if isinstance(result, EdgedError) else [_output(*item) for item in result.items()]
            for result in results
        ]
        self._outputs: dict[int, int] = {}
        """How many tensors of an answer are outputs, where features lie behind them."""
        if features:
            self._append(features)

    def message(
        self, rooms: Sequence[Place | None], segments: Segments, *, may_ask: bool
    ) -> tuple[Ran, Sequence[Buffer]]:
        """Write what has a room into it, and return what is to be sent.

        Args:
            rooms: One for each item.
            segments: Where they are.
            may_ask: Ask for rooms where they are missing; otherwise such an answer becomes an error.

        Raises:
            WireError: A room is not where it is said to be, or there are not as many as items.
        """
        if len(rooms) != len(self._answers):
            raise WireError(f"{len(rooms)} rooms for {len(self._answers)} answers")
        is_inline, wanted = _plan(self._answers, rooms)
        if any(wanted) and may_ask:
            least = _plan(self._without_features(), rooms)[1] if self._outputs else ()
            return Ran(run=self.run, run_s=self._run_s, room_bytes=tuple(wanted), least_bytes=tuple(least)), ()
        if self._outputs and self._leave_out_features(wanted):
            return self.message(rooms, segments, may_ask=False)
        payload: list[Buffer] = []
        answers: list[Answered | Failed] = []
        for i, (answer, room, inline) in enumerate(zip(self._answers, rooms, is_inline, strict=True)):
            if isinstance(answer, Failed):
                answers.append(answer)
            elif inline:
                payload += [output.data for output in answer]
                answers.append(self._answered(i, tuple(_head(output, 0, 0) for output in answer)))
            elif room is None or wanted[i]:
                answers.append(failed(BackendError(f"there is no room for an answer of {wanted[i]} bytes")))
            else:
                answers.append(self._answered(i, _write(answer, room, segments)))
        return Ran(run=self.run, run_s=self._run_s, answers=tuple(answers)), payload

    def keep(self) -> None:
        """Make it independent of the memory the request came in, as far as an output can share it: with inline inputs."""
        for i, answer in enumerate(self._answers):
            if not isinstance(answer, Failed):
                self._answers[i] = [
                    output._replace(data=bytes(output.data)) if output.size <= INLINE_BYTES else output
                    for output in answer
                ]

    def _append(self, features: Mapping[int, Arrays]) -> None:
        for i, made in features.items():
            if not isinstance(answer := self._answers[i], Failed):
                self._outputs[i] = len(answer)
                answer += [_output(*item) for item in made.items()]

    def _answered(self, i: int, heads: tuple[TensorHead, ...]) -> Answered:
        outputs = self._outputs.get(i)
        return (
            Answered(tensors=heads) if outputs is None else Answered(tensors=heads[:outputs], features=heads[outputs:])
        )

    def _without_features(self) -> list[list[_Output] | Failed]:
        return [
            answer if isinstance(answer, Failed) else answer[: self._outputs.get(i)]
            for i, answer in enumerate(self._answers)
        ]

    def _leave_out_features(self, missing: Sequence[int]) -> bool:
        """Leave them out of the answers that have no room; returns whether there were any."""
        roomless = [i for i in self._outputs if missing[i]]
        for i in roomless:
            answer = self._answers[i]
            if not isinstance(answer, Failed):
                del answer[self._outputs.pop(i) :]
        return bool(roomless)


def failed(error: EdgedError) -> Failed:
    """Return an error as an item's answer."""
    return Failed(code=error.code, message=error.message[:MAX_TEXT], hint=error.hint[:MAX_TEXT])


def load_failed(error: EdgedError) -> LoadFailed:
    """Return an error as the answer to a model that is to be loaded."""
    return LoadFailed(code=error.code, message=error.message[:MAX_TEXT], hint=error.hint[:MAX_TEXT])


def _output(name: str, array: Array) -> _Output:
    data = bytes_of(array)
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    return _Output(name, datatype_of(array), array.shape, data, size)


def _head(output: _Output, segment: int, offset: int) -> TensorHead:
    return TensorHead(
        name=output.name, dtype=output.dtype, shape=output.shape, size=output.size, segment=segment, offset=offset
    )


def _plan(answers: Sequence[Sequence[_Output] | Failed], rooms: Sequence[Place | None]) -> tuple[list[bool], list[int]]:
    """Return which answers travel in the message, and the bytes of room that each one lacks."""
    left = MAX_INLINE_BYTES
    is_inline: list[bool] = []
    missing: list[int] = []
    for answer, room in zip(answers, rooms, strict=True):
        size = 0 if isinstance(answer, Failed) else sum(output.size for output in answer)
        is_inline.append(size <= INLINE_BYTES and size <= left)
        left -= size if is_inline[-1] else 0
        needed = 0 if is_inline[-1] or isinstance(answer, Failed) else _space(answer)
        missing.append(0 if room is not None and needed <= room.size else needed)
    return is_inline, missing


def _space(outputs: Sequence[_Output]) -> int:
    return sum(aligned(output.size) for output in outputs)


def _write(outputs: Sequence[_Output], room: Place, segments: Segments) -> tuple[TensorHead, ...]:
    view = segments.part(room.segment, room.offset, room.size)
    if view.readonly:
        raise WireError(f"segment {room.segment} is no room")
    # With numpy, which lets other threads run during a large copy.
    target = np.frombuffer(view, dtype=np.uint8)
    heads = []
    offset = 0
    for output in outputs:
        target[offset : offset + output.size] = np.frombuffer(output.data, dtype=np.uint8)
        heads.append(_head(output, room.segment, room.offset + offset))
        offset += aligned(output.size)
    return tuple(heads)
