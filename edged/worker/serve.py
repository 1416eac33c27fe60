"""A worker process: loads one model, then answers the runs that come in until the control channel closes.

Its life, in order:

(1) the first message on the control channel says what to load; its files came as descriptors
(2) it imports what its pipeline needs, gives up the file system, and only then reads a byte of the model
(3) the model is loaded, and all threads are started; one that nobody waits for gives way to other processes from here on
(4) it gives up all system calls but those for computing and answering, gives back what only loading needed, and reports that it is ready
(5) its first thread serves the control channel, so that a stop gets through whatever the others do, and gives back what nobody needs any
    more (``edged.worker.rest``); the others serve the runs (``edged.worker.pool``)

A request that fails is answered with its error. Only the end of the control channel, a broken protocol, a mistake in here or the system
ends a worker.
"""

import gc
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edged.errors import EdgedError, ModelLoadError
from edged.pipeline.kernels import prepare
from edged.runtime.wire import (
    MAX_DATAGRAM_BYTES,
    TO_CONTROL,
    FromControl,
    Load,
    Loaded,
    Stop,
    ToControl,
    Unmap,
    WireError,
    WorkerSpec,
    decode,
    encode,
)
from edged.worker.arrangement import Numbered
from edged.worker.backends import Backend
from edged.worker.borrower import Borrower
from edged.worker.confine import give_way
from edged.worker.cores import Cores
from edged.worker.model import Model, load_model
from edged.worker.pool import Pool, end_process
from edged.worker.replies import load_failed
from edged.worker.rest import LOOK_S, Rest
from edged.worker.runs import Runs
from edged.worker.segments import Segments
from edged.worker.turns import Turns

SPARE_THREADS: Final = 8
"""Beside one for each run at once: one to give answers that were kept, one to have the next run ready when a turn becomes free, and some
to read what waits on connections, so that the most urgent of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What a worker gives up, as functions of ``edged.worker.confine``; each returns None, or why it could not."""

    forbid_files: Callable[[], str | None]
    filter_calls: Callable[[], str | None]


def serve(
    control: socket.socket,
    runs: socket.socket,
    loans: socket.socket,
    files: Sequence[int],
    backend: Backend,
    confinement: Confinement,
    *,
    settle: Callable[[], None],
    failed: Callable[[], None] = end_process,
) -> None:
    """Serve one model until the other end closes the control channel; runs under way are left to themselves then.

    Args:
        control: Connected to the daemon; blocking.
        runs: Likewise.
        loans: Likewise.
        files: Those of the specification that comes first; closed once they are read.
        backend: What executes the model.
        confinement: What to give up on the way.
        settle: Gives back the memory that only loading needed, which is several times what the model has in the end; and, whenever
            nothing was asked for a while, what runs needed.
        failed: What to do in a thread that ends by a mistake.

    Raises:
        WireError: The daemon broke the protocol.
        OSError: A channel failed.
    """
    buffer = memoryview(bytearray(MAX_DATAGRAM_BYTES))
    message = _receive(control, buffer)
    if message is None:
        return
    if not isinstance(message, Load):
        raise WireError("the first message must name a model")
    spec = message.spec
    prepare(spec.pipeline.steps)
    unconfined = [confinement.forbid_files()]
    began_s = time.monotonic()
    model = _load(spec, files, backend)
    for descriptor in files:
        os.close(descriptor)
    if isinstance(model, EdgedError):
        _send(control, load_failed(model))
        return
    load_s = time.monotonic() - began_s
    if spec.is_background:
        give_way()
    segments = Segments()
    turns = Turns(spec.parallel, Cores(spec.parallel, os.sched_getaffinity(0)))
    source = Runs(runs, model, turns, segments, max_kept=spec.parallel)
    pool = Pool(threads=spec.parallel + SPARE_THREADS, failed=failed, is_short=turns.is_short)
    pool.add(source)
    tensors = Numbered.of(spec, model.in_place)
    borrower = Borrower(loans, model=model, tensors=tensors, turns=turns, pool=pool, failed=failed)
    pool.start()
    borrower.start()
    # Wakes up now and then for what nobody needs any more: states of sequences, and what only runs use.
    control.settimeout(min(LOOK_S, spec.sequences.idle_s) if spec.variant.state else LOOK_S)
    unconfined.append(confinement.filter_calls())
    settle()
    rest = Rest(turns, settle, clock=time.monotonic)
    try:
        missing = tuple(reason for reason in unconfined if reason is not None)
        _send(control, Loaded(load_s=load_s, runtime=backend.runtime, unconfined=missing))
        _serve_control(control, buffer, model, source, segments, rest)
    finally:
        borrower.close()
        pool.close()


def _load(spec: WorkerSpec, files: Sequence[int], backend: Backend) -> Model | EdgedError:
    try:
        model = load_model(spec, files, backend, clock=time.monotonic)
    except EdgedError as exc:
        return exc
    except MemoryError:
        return ModelLoadError(
            f"{spec.name}: does not fit into its memory limit of {spec.memory_limit_bytes} bytes",
            hint="Raise budget.memory_bytes in the manifest, or publish a smaller variant.",
        )
    except OSError as exc:
        return ModelLoadError(f"{spec.name}: a file cannot be read: {exc.strerror}")
    gc.collect()  # what loading left behind
    return model


def _serve_control(
    control: socket.socket, buffer: memoryview, model: Model, runs: Runs, segments: Segments, rest: Rest
) -> None:
    while True:
        try:
            message = _receive(control, buffer)
        except TimeoutError:
            model.sequences.sweep()
            rest.look()
            continue
        match message:
            case None:
                return
            case Stop():
                runs.stop(message.run)
            case Unmap():
                segments.drop(message.segment)
            case Load():
                raise WireError("a worker runs one model")


def _receive(control: socket.socket, buffer: memoryview) -> ToControl | None:
    """Wait for a message; None when the other end has closed."""
    size = control.recv_into(buffer)
    return decode(TO_CONTROL, buffer[:size])[0] if size else None


def _send(control: socket.socket, message: FromControl) -> None:
    control.sendmsg(encode(message))
