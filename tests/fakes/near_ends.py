"""The daemon's side of a worker, played by a test over real channels: the worker runs in threads here, or in a process of its own."""

import array
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edged.host.channel import make_pair
from edged.runtime.memory import Piece, Room, Segment
from edged.runtime.tensors import Tensor
from edged.runtime.wire import (
    FROM_CONTROL,
    FROM_RUNS,
    MAX_DATAGRAM_BYTES,
    Answered,
    Failed,
    FromControl,
    Give,
    Item,
    Load,
    Place,
    Ran,
    Run,
    Stop,
    ToControl,
    Unmap,
    WorkerSpec,
    decode,
    encode,
    split,
)
from edged.worker.arrays import to_array
from edged.worker.backends import Backend
from edged.worker.serve import Confinement, serve
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import item_of, opened

TOP = Path(__file__).resolve().parents[2]
UNCONFINED = Confinement(forbid_files=lambda: None, filter_calls=lambda: None)

Answer = dict[str, np.ndarray] | Failed


class Channels:
    """A worker's channels from the daemon's end, and the words for them; a subclass has the worker at the other end."""

    def __init__(self, spec: WorkerSpec, directory, *contents: bytes) -> None:
        self.spec = spec
        self._stack = ExitStack()
        self.control, far_control = make_pair()
        self.runs, far_runs = make_pair()
        self.loans, far_loans = make_pair()
        for end in (self.control, self.runs, self.loans):
            end.settimeout(PATIENCE_S)
            self._stack.enter_context(end)
        self._far = far_control, far_runs, far_loans
        self._files = self._stack.enter_context(opened(directory, *contents))
        self._rooms: dict[int, Room] = {}
        self._given: set[int] = set()

    def tell(self, message: ToControl) -> None:
        self.control.sendmsg(encode(message))

    def told(self) -> FromControl:
        return decode(FROM_CONTROL, self.control.recv(MAX_DATAGRAM_BYTES))[0]

    @property
    def looks_every_s(self) -> float | None:
        """How long the worker's first thread waits to be told something before it looks for what nobody needs any more."""
        return self._far[0].gettimeout()

    def load(self) -> FromControl:
        self.tell(Load(spec=self.spec))
        return self.told()

    def stop(self, run: int) -> None:
        self.tell(Stop(run=run))

    def unmap(self, piece: Piece) -> None:
        self.tell(Unmap(segment=piece.number))
        self._given.discard(piece.number)

    def send(self, run: int, *requests: Sequence[Tensor], rank: int = 0, **fields: object) -> None:
        """Send a run whose tensors all travel with it."""
        items = [item_of(*tensors, **fields) for tensors in requests]
        payload = [part for _, parts in items for part in parts]
        self.send_items(run, [item for item, _ in items], payload, rank=rank)

    def send_items(
        self,
        run: int,
        items: Sequence[Item],
        payload: Sequence[memoryview] = (),
        pieces: Sequence[Piece] = (),
        *,
        rank: int = 0,
    ) -> None:
        """Send a run; ``pieces`` are all that it names, whose descriptors go along if they are new."""
        new = self._new(pieces)
        named = tuple((piece.number, piece.size) for piece in new)
        self._send(encode(Run(run=run, items=tuple(items), segments=named, rank=rank), payload), new)

    def give(self, run: int, *places: Place | None, pieces: Sequence[Piece] = ()) -> None:
        new = self._new(pieces)
        named = tuple((piece.number, piece.size) for piece in new)
        self._send(encode(Give(run=run, rooms=places, segments=named)), new)

    def receive(self) -> tuple[Ran, memoryview]:
        return decode(FROM_RUNS, self.runs.recv(MAX_DATAGRAM_BYTES))

    def answers(self) -> tuple[int, list[Answer]]:
        """The next answer: its run's number, and for each request its outputs or why there are none."""
        ran, payload = self.receive()
        assert not ran.room_bytes, "it wants room"
        return ran.run, self.read(ran, payload)

    def read(self, ran: Ran, payload: memoryview) -> list[Answer]:
        start = 0
        found: list[Answer] = []
        for answer in ran.answers:
            if not isinstance(answer, Answered):
                found.append(answer)
                continue
            parts, start = split(answer.tensors, payload, start)
            found.append(
                {
                    head.name: to_array(
                        Tensor(
                            name=head.name,
                            dtype=head.dtype,
                            shape=head.shape,
                            data=self._rooms[head.segment].read(head.offset, head.size)
                            if part is None
                            else bytes(part),
                        )
                    )
                    for head, part in zip(answer.tensors, parts, strict=True)
                }
            )
        assert start == len(payload)
        return found

    @staticmethod
    def place(room: Room, offset: int = 0, size: int | None = None) -> Place:
        """The rest of a room from some offset on, or less of it."""
        return Place(segment=room.number, offset=offset, size=room.size - offset if size is None else size)

    def ask(self, *requests: Sequence[Tensor], run: int = 1, **fields: object) -> list[Answer]:
        self.send(run, *requests, **fields)
        number, found = self.answers()
        assert number == run
        return found

    def _new(self, pieces: Sequence[Piece]) -> list[Piece]:
        new = [piece for piece in pieces if piece.number not in self._given]
        self._given |= {piece.number for piece in new}
        self._rooms |= {piece.number: piece for piece in new if isinstance(piece, Room)}
        return new

    def _send(self, datagram: Sequence[bytes | memoryview], pieces: Sequence[Piece]) -> None:
        descriptors = array.array("i", [piece.descriptor for piece in pieces])
        self.runs.sendmsg(datagram, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)] if descriptors else [])


class NearEnd(Channels):
    """A worker's loop in threads of this process; leaving it ends them and checks that nothing was wrong with them."""

    def __init__(
        self,
        spec: WorkerSpec,
        backend: Backend,
        directory,
        *contents: bytes,
        confinement: Confinement = UNCONFINED,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(spec, directory, *contents)
        self._mistakes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._outside = set(threading.enumerate())
        # The worker closes those it is handed.
        files = [os.dup(descriptor) for descriptor in self._files]
        self._thread = threading.Thread(target=self._serve, args=(*self._far, files, backend, confinement, settle))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        for thread in set(threading.enumerate()) - self._outside:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} does not end"
        self._stack.close()
        if not self._mistakes.empty():
            raise AssertionError("the process would have ended") from self._mistakes.get()

    def mistake(self) -> BaseException | None:
        """Wait for an error that would have ended the process, as the test expected."""
        return self._mistakes.get(timeout=PATIENCE_S)

    def _serve(self, control, runs, loans, files, backend, confinement, settle) -> None:
        with control, runs, loans:
            try:
                serve(control, runs, loans, files, backend, confinement, settle=settle, failed=self._note)
            except (BrokenPipeError, ConnectionResetError):
                pass  # as in the template: the test has left
            except Exception:  # noqa: BLE001 - the test decides what is wrong about it
                self._note()
            for thread in set(threading.enumerate()) - self._outside - {threading.current_thread()}:
                thread.join(PATIENCE_S)

    def _note(self) -> None:
        self._mistakes.put(sys.exception())


class OtherProcess(Channels):
    """A worker in a process of its own, ``tests.fakes.worker_process``; leaving it ends it."""

    def __init__(self, spec: WorkerSpec, mode: str, directory, *contents: bytes) -> None:
        super().__init__(spec, directory, *contents)
        self._mode = mode

    def __enter__(self):
        descriptors = [*(end.fileno() for end in self._far), *self._files]
        command = [sys.executable, "-m", "tests.fakes.worker_process", self._mode, *map(str, descriptors)]
        self._process = subprocess.Popen(command, cwd=TOP, pass_fds=descriptors, stderr=subprocess.PIPE, text=True)
        for end in self._far:
            end.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._stack.close()

    def end(self) -> tuple[int, str]:
        """Wait for the end of the process, which its channels may have told it; returns its status and what it said."""
        self.control.close()
        said = self._process.communicate(timeout=PATIENCE_S)[1]
        return self._process.returncode, said


def outputs_of(answers: Sequence[Answer]) -> list[Mapping[str, list]]:
    """Answers as lists, for comparing."""
    return [
        answer if isinstance(answer, Failed) else {name: array.tolist() for name, array in answer.items()}
        for answer in answers
    ]


def in_segment(segment: Segment, tensor: Tensor, offset: int = 0) -> Item:
    """Put a tensor into a segment, and return a request that refers to it."""
    item, (part,) = item_of(tensor)
    segment.view[offset : offset + len(part)] = part
    (head,) = item.tensors
    return Item(
        tensors=(
            type(head)(
                name=head.name,
                dtype=head.dtype,
                shape=head.shape,
                size=head.size,
                segment=segment.number,
                offset=offset,
            ),
        )
    )
