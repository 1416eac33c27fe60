"""How the inputs of a run travel to a worker: which are sent, which lie in memory already, and which are copied there.

Where it is known what the steps before the model make of a request, that travels in place of its inputs, by the same rules:

(1) an input that lies in its request's memory stays there
(2) others are sent with the run, up to ``INLINE_BYTES`` of a request and ``MAX_INLINE_BYTES`` of all together
(3) what is left is copied into one segment
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edged.runtime.calls import Request, Segment
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import Tensor
from edged.runtime.wire import INLINE_BYTES, MAX_INLINE_BYTES, Buffer, TensorHead, aligned


@dataclass(slots=True)
class Laid:
    """The inputs of a run, laid out."""

    heads: list[list[TensorHead]] = field(default_factory=list)
    """Of each request."""
    payload: list[Buffer] = field(default_factory=list)
    """What is sent, in the order of the heads."""
    segments: list[Segment] = field(default_factory=list)
    """All that the heads name, each once."""
    copies: Segment | None = None
    """The one among them that was taken for this run; whoever asked for the layout releases it."""


def lay_out(requests: Sequence[Request], memory: SharedMemory) -> Laid:
    """Lay out the inputs of requests that run together.

    Args:
        requests: Their memory, where they have any, was taken from ``memory``.
        memory: Of the model.

    Raises:
        UnavailableError: There is no memory for what has to be copied.
    """
    laid = Laid()
    copied: list[tuple[int, int, Tensor, int, int]] = []
    copied_bytes = 0
    left = MAX_INLINE_BYTES
    for i, request in enumerate(requests):
        heads: list[TensorHead] = []
        laid.heads.append(heads)
        own = request.memory
        used = 0
        for tensor in request.sent:
            data, at = tensor.data, tensor.at
            size = data.nbytes if isinstance(data, memoryview) else len(data)
            segment = offset = 0
            if own is not None and at is not None:
                segment, offset = own.number, at
                if own not in laid.segments:
                    laid.segments.append(own)
            elif used + size <= INLINE_BYTES and size <= left:
                used += size
                left -= size
                laid.payload.append(data)
            else:
                copied.append((i, len(heads), tensor, copied_bytes, size))
                copied_bytes += aligned(size)
            heads.append(
                TensorHead(
                    name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, size=size, segment=segment, offset=offset
                )
            )
    if copied:
        _copy(copied, laid, memory.take(copied_bytes))
    return laid


def _copy(copied: list[tuple[int, int, Tensor, int, int]], laid: Laid, segment: Segment) -> None:
    laid.copies = segment
    laid.segments.append(segment)
    for i, j, tensor, offset, size in copied:
        segment.view[offset : offset + size] = memoryview(tensor.data).cast("B")
        laid.heads[i][j] = TensorHead(
            name=tensor.name,
            dtype=tensor.dtype,
            shape=tensor.shape,
            size=size,
            segment=segment.number,
            offset=offset,
        )
