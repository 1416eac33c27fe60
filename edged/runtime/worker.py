"""The loop of a worker process: load one model, then answer requests one at a time until the channel closes.

A request that fails is answered with its error; only the end of the channel, a broken frame or the system ends a worker.
"""

import gc
import os
import socket
import time
from collections.abc import Sequence
from typing import Final

from edged.errors import BackendError, EdgedError, ModelLoadError
from edged.runtime.backends import Backend
from edged.runtime.model import Model, load_model
from edged.runtime.streams import read_frame, write_frame
from edged.runtime.tensors import Tensor
from edged.runtime.wire import (
    TO_WORKER,
    Failed,
    Infer,
    Inferred,
    Load,
    Loaded,
    TensorHead,
    WireError,
    WorkerSpec,
    encode,
    split,
)

MAX_TEXT: Final = 2000


def serve(channel: socket.socket, descriptors: Sequence[int], backend: Backend) -> None:
    """Serve one model until the other end closes the channel.

    Args:
        channel: Connected to the daemon; blocking.
        descriptors: The files of the specification that comes as first frame; closed once they are read.
        backend: What executes the model.

    Raises:
        WireError: The daemon broke the protocol.
        OSError: The channel failed.
    """
    frame = read_frame(channel, TO_WORKER)
    if frame is None:
        return
    if not isinstance(frame[0], Load):
        raise WireError("the first frame must name a model")
    model, report = _load(frame[0].spec, descriptors, backend)
    for descriptor in descriptors:
        os.close(descriptor)
    write_frame(channel, encode(report))
    while model is not None and (frame := read_frame(channel, TO_WORKER)) is not None:
        message, payload = frame
        if not isinstance(message, Infer):
            raise WireError("a worker runs one model")
        _answer(channel, model, message, payload)
        # Both keep the request's buffer alive, which may be large, while the worker waits for the next.
        del frame, payload


def _load(spec: WorkerSpec, descriptors: Sequence[int], backend: Backend) -> tuple[Model | None, Loaded | Failed]:
    started_s = time.monotonic()
    try:
        model = load_model(spec, descriptors, backend)
    except EdgedError as exc:
        error = exc
    except MemoryError:
        error = ModelLoadError(
            f"{spec.name}: does not fit into its memory limit of {spec.memory_limit_bytes} bytes",
            hint="Raise budget.memory_bytes in the manifest, or publish a smaller variant.",
        )
    except OSError as exc:
        error = ModelLoadError(f"{spec.name}: a file cannot be read: {exc.strerror}")
    else:
        gc.collect()
        return model, Loaded(load_s=time.monotonic() - started_s, runtime=backend.runtime)
    return None, _failed(None, error)


def _answer(channel: socket.socket, model: Model, message: Infer, payload: bytearray) -> None:
    started_s = time.monotonic()
    heads = zip(message.tensors, split(message.tensors, payload), strict=True)
    try:
        results = model.infer(
            [Tensor(name=h.name, dtype=h.dtype, shape=h.shape, data=d) for h, d in heads], message.outputs
        )
        frame = _inferred(message.request, results, time.monotonic() - started_s)
    except EdgedError as exc:
        frame = encode(_failed(message.request, exc))
    except MemoryError:
        frame = encode(_failed(message.request, BackendError("the request does not fit into the model's memory limit")))
    except WireError as exc:
        frame = encode(_failed(message.request, BackendError(f"the answer cannot be sent: {exc}")))
    write_frame(channel, frame)


def _inferred(request: int, results: Sequence[Tensor], run_s: float) -> list[bytes | bytearray | memoryview]:
    heads = tuple(
        TensorHead(name=t.name, dtype=t.dtype, shape=t.shape, size=memoryview(t.data).nbytes) for t in results
    )
    return encode(Inferred(request=request, tensors=heads, run_s=run_s), [tensor.data for tensor in results])


def _failed(request: int | None, error: EdgedError) -> Failed:
    return Failed(request=request, code=error.code, message=error.message[:MAX_TEXT], hint=error.hint[:MAX_TEXT])
