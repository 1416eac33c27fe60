"""How the answers of a run travel to the daemon.

The rules, for each answer in turn:

(1) a small one goes with the message, as long as the message has space
(2) another one goes into the room it was given, if it fits
(3) if one fits nowhere, the worker asks for rooms for all of those, and gives all answers once it has them
"""

from collections.abc import Sequence
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
    """

    def __init__(self, run: int, results: Sequence[dict[str, Array] | EdgedError], run_s: float) -> None:
        self.run: Final = run
        self._run_s = run_s
        self._answers: list[list[_Output] | Failed] = [
            failed(result) if isinstance(result, EdgedError) else [_output(*item) for item in result.items()]
            for result in results
        ]

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
        left = MAX_INLINE_BYTES
        is_inline: list[bool] = []
        wanted: list[int] = []
        for answer, room in zip(self._answers, rooms, strict=True):
            size = 0 if isinstance(answer, Failed) else sum(output.size for output in answer)
            is_inline.append(size <= INLINE_BYTES and size <= left)
            left -= size if is_inline[-1] else 0
            needed = 0 if is_inline[-1] or isinstance(answer, Failed) else _space(answer)
            wanted.append(0 if room is not None and needed <= room.size else needed)
        if any(wanted) and may_ask:
            return Ran(run=self.run, run_s=self._run_s, room_bytes=tuple(wanted)), ()
        payload: list[Buffer] = []
        answers: list[Answered | Failed] = []
        for answer, room, inline, missing in zip(self._answers, rooms, is_inline, wanted, strict=True):
            if isinstance(answer, Failed):
                answers.append(answer)
            elif inline:
                payload += [output.data for output in answer]
                answers.append(Answered(tensors=tuple(_head(output, 0, 0) for output in answer)))
            elif room is None or missing:
                answers.append(failed(BackendError(f"there is no room for an answer of {missing} bytes")))
            else:
                answers.append(Answered(tensors=_write(answer, room, segments)))
        return Ran(run=self.run, run_s=self._run_s, answers=tuple(answers)), payload

    def keep(self) -> None:
        """Make it independent of the memory the request came in, as far as an output can share it: with inline inputs."""
        for i, answer in enumerate(self._answers):
            if not isinstance(answer, Failed):
                self._answers[i] = [
                    output._replace(data=bytes(output.data)) if output.size <= INLINE_BYTES else output
                    for output in answer
                ]


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
