"""The runs of one worker that are under way: sent from here, and ended with what comes back.

A run that was begun is ended exactly once, by its answers or by ``end_all``. Until then its memory is left alone, because the worker
may still read or write it.
"""

import asyncio
import itertools
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from edged.errors import EdgedError, TensorError, UnavailableError
from edged.host.answers import Answers, Wanted, fixed_bytes
from edged.host.channel import Channel
from edged.host.inputs import Laid, lay_out
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Outcome, Request, Segment
from edged.runtime.memory import Room, SharedMemory
from edged.runtime.wire import (
    FROM_RUNS,
    MAX_BATCH,
    MAX_SEGMENT_BYTES,
    MAX_TENSORS,
    Buffer,
    Give,
    Item,
    Place,
    Ran,
    Run,
    Step,
    TensorHead,
    WireError,
    decode,
    encode,
)

Ended = Callable[[Sequence[Outcome]], None]
"""Told how a run ended: one outcome for each of its requests, in order. Called exactly once, on the event loop."""


class _Run:
    """A run under way."""

    __slots__ = ("answers", "copies", "ended", "size", "too_late")

    def __init__(self, size: int, ended: Ended, answers: Answers, copies: Segment | None) -> None:
        self.size = size
        self.ended = ended
        self.answers = answers
        self.copies = copies
        self.too_late: asyncio.TimerHandle | None = None

    def release(self) -> None:
        """Let go of what it holds."""
        if self.too_late is not None:
            self.too_late.cancel()
        if self.copies is not None:
            self.copies.release()
        self.answers.release()


class UnderWay:
    """What a worker was sent and has not answered.

    Args:
        outputs: Of the pipeline.
        connection: The daemon's end of the runs channel; closed with this.
        memory: Of the model.
        broken: As for ``Channel``.
    """

    def __init__(
        self,
        outputs: Sequence[TensorSpec],
        connection: socket.socket,
        memory: SharedMemory,
        *,
        broken: Callable[[WireError | None], None],
    ) -> None:
        self._outputs: Final = {spec.name: spec for spec in outputs}
        self._all_outputs: Final = Wanted(tuple(outputs))
        self._memory = memory
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(connection, received=self._received, broken=broken)
        self._numbers = itertools.count()
        self._runs: dict[int, _Run] = {}
        self._mapped: set[int] = set()
        """Numbers of the segments and rooms that the worker knows."""
        self._usual_bytes = 0
        """What the last answer took in a room."""

    def begin(self, requests: Sequence[Request], ended: Ended, *, rank: int) -> int:
        """Send a run and return its number; one that cannot be sent is ended soon, with the reason."""
        number = next(self._numbers)
        try:
            run, laid, places = self._prepare(requests, ended)
        except EdgedError as exc:
            if isinstance(exc, UnavailableError) and any(request.features for request in requests):
                # What steps make of a request may be larger than the request, for which there may be memory.
                return self.begin([replace(request, features=None) for request in requests], ended, rank=rank)
            self._loop.call_soon(ended, [exc] * len(requests))
            return number
        new = self._unknown([*laid.segments, *run.answers.rooms])
        message = Run(
            run=number,
            items=tuple(map(_item, requests, laid.heads, places)),
            segments=tuple((piece.number, piece.size) for piece in new),
            rank=rank,
        )
        try:
            datagram = encode(message, laid.payload)
        except (WireError, OverflowError) as exc:
            run.release()
            self._loop.call_soon(ended, [TensorError(f"the request cannot be sent: {exc}")] * len(requests))
            return number
        self._runs[number] = run
        self._send(datagram, new)
        return number

    def refuse(self, size: int, ended: Ended, make_error: Callable[[], EdgedError]) -> int:
        """End a run of so many requests soon, without sending it; return its number."""
        self._loop.call_soon(ended, [make_error() for _ in range(size)])
        return next(self._numbers)

    def expect_end(self, number: int, within_s: float, too_late: Callable[[], None]) -> bool:
        """Have ``too_late`` called unless a run ends in time; False when it has ended, or when this was called before."""
        run = self._runs.get(number)
        if run is None or run.too_late is not None:
            return False
        run.too_late = self._loop.call_later(within_s, too_late)
        return True

    def forget(self, segment: int) -> bool:
        """Note that a segment is dropped; return whether the worker knows it."""
        if segment not in self._mapped:
            return False
        self._mapped.discard(segment)
        return True

    def drain(self) -> None:
        """Take the answers that have arrived; for when the worker is gone."""
        self._channel.drain()

    def end_all(self, make_error: Callable[[], EdgedError]) -> None:
        """End every run that is left, and close the channel; the worker is gone and touches no memory any more."""
        self._channel.close()
        runs = list(self._runs.values())
        self._runs.clear()
        # All are ended, also when the owner of one of them raises.
        with ExitStack() as stack:
            for run in reversed(runs):
                run.release()
                stack.callback(run.ended, [make_error() for _ in range(run.size)])

    def _prepare(self, requests: Sequence[Request], ended: Ended) -> tuple[_Run, Laid, Sequence[Place | None]]:
        if not 1 <= len(requests) <= MAX_BATCH:
            raise ValueError(f"{len(requests)} requests in a run")
        wanted = [self._wanted(request) for request in requests]
        laid = lay_out(requests, self._memory)
        answers = Answers(wanted, self._memory)
        places = answers.make_rooms_ahead([fixed_bytes(each.tensors) for each in wanted], self._usual_bytes)
        return _Run(len(requests), ended, answers, laid.copies), laid, places

    def _wanted(self, request: Request) -> Wanted:
        if len(request.inputs) > MAX_TENSORS:
            raise TensorError(f"{len(request.inputs)} inputs; at most {MAX_TENSORS} are allowed")
        features = request.features
        if features is None:
            return self._all_outputs if not request.outputs else Wanted(self._named(request.outputs))
        outputs = self._named(request.outputs) if request.outputs else self._all_outputs.outputs
        if features.tensors is None:
            return Wanted(outputs, features.specs, most_feature_bytes=features.most_bytes)
        return Wanted(outputs, had_features=True)

    def _named(self, names: Sequence[str]) -> Sequence[TensorSpec]:
        if unknown := [name for name in names if name not in self._outputs]:
            raise TensorError(f"no output {unknown[0]}; there are {', '.join(self._outputs)}")
        if len(set(names)) != len(names):
            raise TensorError("an output is named twice")
        return [self._outputs[name] for name in names]

    def _unknown(self, pieces: Sequence[Segment | Room]) -> list[Segment | Room]:
        return [piece for piece in pieces if piece.number not in self._mapped]

    def _send(self, datagram: Sequence[Buffer], new: Sequence[Segment | Room]) -> None:
        self._mapped.update(piece.number for piece in new)
        self._channel.send(datagram, [piece.descriptor for piece in new])

    def _received(self, datagram: memoryview) -> None:
        message, payload = decode(FROM_RUNS, datagram)
        run = self._runs.get(message.run)
        if run is None:
            raise WireError(f"an answer to run {message.run}, which is not under way")
        if message.room_bytes:
            self._give(run, message)
            return
        outcomes = run.answers.outcomes(message, payload)
        self._usual_bytes = run.answers.largest_bytes
        del self._runs[message.run]
        run.release()
        run.ended(outcomes)

    def _give(self, run: _Run, message: Ran) -> None:
        places = run.answers.make_rooms(message)
        new = self._unknown(run.answers.rooms)
        give = Give(
            run=message.run,
            rooms=tuple(places),
            segments=tuple((room.number, room.size) for room in new),
        )
        self._send(encode(give), new)


def _item(request: Request, heads: Sequence[TensorHead], room: Place | None) -> Item:
    step, features = request.sequence, request.features
    return Item(
        tensors=tuple(heads),
        outputs=tuple(request.outputs),
        sequence=None
        if step is None
        else Step(uid=request.uid, id=step.id, is_start=step.is_start, is_end=step.is_end),
        room=room,
        scale=request.scale,
        features="" if features is None else "wanted" if features.tensors is None else "given",
        most_feature_bytes=0
        if features is None or features.tensors is not None
        else min(features.most_bytes, MAX_SEGMENT_BYTES),
    )
