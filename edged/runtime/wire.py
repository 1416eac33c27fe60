"""The words daemon and worker exchange, and how they lie in datagrams. No I/O.

A worker has two SOCK_SEQPACKET channels. *control* is read by one thread at any time, so it gets through while runs are under way:
load a model, stop a run, forget a segment. *runs* carries the work: a ``Run`` is one execution of the model for one request or for
several together; whichever thread is free takes it and answers ``Ran``. (A third one, *loans*, is that of ``edged.runtime.lending``.)

A datagram is a head length (4 bytes, little-endian), a head (one msgpack message) and a payload: the bytes of those tensors that lie
in no segment, one after the other. Larger tensors lie in *segments*: files on a tmpfs that the daemon makes and the worker maps. A
segment's descriptor comes with the first ``Run`` that names it (SCM_RIGHTS, in the order of ``Run.segments``); after that only its
number and offsets travel. Segments for inputs can only be read by the worker; those for answers, called rooms, it writes. Answers
that fit nowhere are asked for: the worker says ``Ran.room_bytes``, keeps the answer, and the daemon repeats the question as ``Give``
with room for it.

An item brings the pipeline's inputs or the model's own; or what the steps before the model made of the first, which is the model's own and
what else steps after it read from before it. It may also ask to be told that; see ``Item.features``.

Both sides refuse what they did not expect: a worker has run a model from outside, so the daemon trusts nothing it says.
"""

import struct
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeVar

import msgspec

from edged.bundle.manifest import Role, Sha256, Variant
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import Datatype, TensorName

PREFIX: Final = struct.Struct("<I")
MAX_DATAGRAM_BYTES: Final = 192 << 10
"""The socket buffers of a channel are made to hold it; the kernel refuses a datagram that does not fit into one."""
INLINE_BYTES: Final = 32 << 10
"""Most bytes of one request's or one answer's tensors that travel in the datagram; copying them costs less than sharing memory."""
MAX_INLINE_BYTES: Final = MAX_DATAGRAM_BYTES * 2 // 3
"""Most bytes of all tensors in a datagram; the rest of it is for the heads."""
MAX_SEGMENT_BYTES: Final = 1 << 32
ALIGNMENT: Final = 64
"""Tensors in segments begin at multiples of it where edged lays them, so that arrays can use them as they are."""
MAX_TENSORS: Final = 64
MAX_FILES: Final = 64
MAX_BATCH: Final = 32

Buffer = bytes | bytearray | memoryview
Number = Annotated[int, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(max_length=4000)]
Names = Annotated[tuple[TensorName, ...], msgspec.Meta(max_length=MAX_TENSORS)]
Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEGMENT_BYTES)]
SegmentNumber = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
Scale = Annotated[float, msgspec.Meta(gt=0, le=1)]


class WireError(Exception):
    """The other end of a channel sent what is not of this protocol; the channel is of no more use.

    Not part of ``edged.errors``: it never leaves the runtime, where it becomes the loss of a worker.
    """


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that travels."""


class FilePin(Message, frozen=True, kw_only=True):
    """A file handed over as a descriptor: what it is for, and what its bytes must be."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    role: Role
    sha256: Sha256
    size: Annotated[int, msgspec.Meta(ge=0)]


class SequenceLimits(Message, frozen=True, kw_only=True):
    """How many sequences a worker keeps states for, and for how long."""

    most: Number
    most_per_caller: Number
    most_bytes: Number
    """Of all states together."""
    idle_s: Annotated[float, msgspec.Meta(gt=0)]
    """A sequence that is not continued for so long is forgotten."""


class WorkerSpec(Message, frozen=True, kw_only=True):
    """All a worker needs to know about the model it is to run."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """For messages and the process list: the model, or the model and its version."""
    pipeline: Pipeline
    variant: Variant
    files: Annotated[tuple[FilePin, ...], msgspec.Meta(min_length=1, max_length=MAX_FILES)]
    """In the order of the descriptors; exactly one has role ``model``."""
    memory_limit_bytes: Annotated[int, msgspec.Meta(gt=0)]
    """Most private writable memory of the process (``RLIMIT_DATA``), interpreter and runtime included."""
    parallel: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    """Most runs of the model at once."""
    sequences: SequenceLimits = SequenceLimits(most=256, most_per_caller=16, most_bytes=64 << 20, idle_s=60.0)
    is_background: bool = False
    """Nobody waits for its answers: it gives way to all other processes, once it has loaded its model."""


class TensorHead(Message, frozen=True, kw_only=True, array_like=True):
    """A tensor without its bytes: ``size`` of them, in a segment or, where that is 0, as its part of the payload."""

    name: TensorName
    dtype: Datatype
    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0)], ...], msgspec.Meta(max_length=8)]
    size: Size
    segment: Number = 0
    offset: Size = 0


Heads = Annotated[tuple[TensorHead, ...], msgspec.Meta(max_length=MAX_TENSORS)]


class Place(Message, frozen=True, kw_only=True, array_like=True):
    """A part of a room that the worker may write an answer's tensors to, in any arrangement.

    ``offset`` is a multiple of ``ALIGNMENT``, and there is space for each tensor to begin at one.
    """

    segment: SegmentNumber
    offset: Size
    size: Size


class Step(Message, frozen=True, kw_only=True, array_like=True):
    """The sequence a request belongs to; see ``edged.runtime.calls.SequenceStep``."""

    uid: Number
    id: int | Annotated[str, msgspec.Meta(max_length=128)]
    is_start: bool
    is_end: bool


FeatureUse = Literal["", "wanted", "given"]
"""Of what the steps before the model make of a request: nothing is said about it, the answer is to bring it, or it is what is sent."""


class Item(Message, frozen=True, kw_only=True, array_like=True):
    """One request of a run. ``outputs`` are the names wanted; empty means all of the pipeline's."""

    tensors: Heads
    outputs: Names = ()
    sequence: Step | None = None
    room: Place | None = None
    """Where its answer may lie if it is large."""
    scale: Scale = 1.0
    """Of the pipeline; at least the least it may have. The model's own inputs are taken as they are."""
    features: FeatureUse = ""
    """Where they are given, they are ``tensors``, whatever the names of those."""
    most_feature_bytes: Size = 0
    """Where they are wanted: the answer brings them unless they have more than that."""


class Run(Message, frozen=True, kw_only=True, array_like=True, tag_field="type", tag="run"):
    """Run the model once for these requests. Descriptors: those of ``segments``, in order."""

    run: Number
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]
    segments: Annotated[tuple[tuple[SegmentNumber, Size], ...], msgspec.Meta(max_length=2 * MAX_BATCH)] = ()
    """Number and size of each segment that is named for the first time."""
    rank: int = 0
    """Among runs that wait for the same core, the smallest goes first."""


class Give(Message, frozen=True, kw_only=True, array_like=True, tag_field="type", tag="give"):
    """Give the answer that was kept for lack of room. Descriptors as for ``Run``."""

    run: Number
    rooms: Annotated[tuple[Place | None, ...], msgspec.Meta(max_length=MAX_BATCH)]
    """One for each item of the run; None where the answer is small or an error."""
    segments: Annotated[tuple[tuple[SegmentNumber, Size], ...], msgspec.Meta(max_length=MAX_BATCH)] = ()


class Answered(Message, frozen=True, kw_only=True, array_like=True, tag_field="type", tag="answered"):
    """The answer to one item."""

    tensors: Heads
    features: Heads = ()
    """Where they were wanted, are not too many bytes, and there is room for them; their bytes come behind those of the outputs."""


class Failed(Message, frozen=True, kw_only=True, array_like=True, tag_field="type", tag="failed"):
    """An item could not be answered. ``code`` is the code of an error class."""

    code: Text
    message: Text
    hint: Text = ""


class Ran(Message, frozen=True, kw_only=True, array_like=True, tag_field="type", tag="ran"):
    """The end of a run: one answer for each item; none while room is wanted."""

    run: Number
    answers: Annotated[tuple[Answered | Failed, ...], msgspec.Meta(max_length=MAX_BATCH)] = ()
    run_s: Seconds = 0.0
    room_bytes: Annotated[tuple[Size, ...], msgspec.Meta(max_length=MAX_BATCH)] = ()
    """Not empty: answers need room, so many bytes for each item, 0 where none is needed. ``Give`` fetches them."""
    least_bytes: Annotated[tuple[Size, ...], msgspec.Meta(max_length=MAX_BATCH)] = ()
    """Not empty: what would do instead, without what the steps before the model made."""


class Load(Message, frozen=True, kw_only=True, tag_field="type", tag="load"):
    """First message on the control channel."""

    spec: WorkerSpec


class Stop(Message, frozen=True, kw_only=True, tag_field="type", tag="stop"):
    """Stop a run at the next step of its graph; it ends with an error. No effect on one that has ended."""

    run: Number


class Unmap(Message, frozen=True, kw_only=True, tag_field="type", tag="unmap"):
    """Forget a segment; nothing will name it again."""

    segment: SegmentNumber


class Loaded(Message, frozen=True, kw_only=True, tag_field="type", tag="loaded"):
    """The model is ready."""

    load_s: Seconds
    runtime: Text
    """Name and version of what executes it."""
    unconfined: tuple[Text, ...] = ()
    """Why parts of the worker's sandbox are missing on this machine; empty when it is whole."""


class LoadFailed(Message, frozen=True, kw_only=True, tag_field="type", tag="load-failed"):
    """The model could not be loaded; as ``Failed``."""

    code: Text
    message: Text
    hint: Text = ""


ToControl = Load | Stop | Unmap
FromControl = Loaded | LoadFailed
ToRuns = Run | Give
FromRuns = Ran
M = TypeVar("M")


def encode(message: Message, payload: Sequence[Buffer] = ()) -> list[Buffer]:
    """Return the buffers that make up one datagram, in order; tensors are not copied.

    Raises:
        WireError: The datagram is larger than a channel carries.
    """
    head = msgspec.msgpack.encode(message)
    size = PREFIX.size + len(head) + sum(_size(part) for part in payload)
    if size > MAX_DATAGRAM_BYTES:
        raise WireError(f"a datagram of {size} bytes; at most {MAX_DATAGRAM_BYTES} are allowed")
    return [PREFIX.pack(len(head)) + head, *payload]


def decode(decoder: msgspec.msgpack.Decoder[M], datagram: Buffer) -> tuple[M, memoryview]:
    """Read a datagram; returns its message and its payload, which is a view of it.

    Args:
        decoder: ``TO_CONTROL``, ``FROM_CONTROL``, ``TO_RUNS`` or ``FROM_RUNS``.
        datagram: All of it.

    Raises:
        WireError: It is no message of that channel and direction.
    """
    view = memoryview(datagram)
    if len(view) < PREFIX.size:
        raise WireError(f"a datagram of {len(view)} bytes")
    (head_bytes,) = PREFIX.unpack_from(view)
    if head_bytes > len(view) - PREFIX.size:
        raise WireError(f"a head of {head_bytes} bytes in a datagram of {len(view)}")
    end = PREFIX.size + head_bytes
    try:
        return decoder.decode(view[PREFIX.size : end]), view[end:]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise WireError(f"not a message: {exc}") from exc


def split(heads: Sequence[TensorHead], payload: memoryview, start: int = 0) -> tuple[list[memoryview | None], int]:
    """Return each tensor's part of a payload, without copying; None for a tensor that lies in a segment.

    Args:
        heads: Of one item.
        payload: Of the whole datagram.
        start: Where the item's first part begins.

    Returns:
        The parts, and where the next item's begin.

    Raises:
        WireError: The payload is too short.
    """
    parts: list[memoryview | None] = []
    for head in heads:
        if head.segment:
            parts.append(None)
            continue
        end = start + head.size
        if end > len(payload):
            raise WireError(f"tensor {head.name} reaches past the end of the payload")
        parts.append(payload[start:end])
        start = end
    return parts, start


def aligned(size: int) -> int:
    """Round a number of bytes up to where the next tensor may begin in a segment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


TO_CONTROL: Final[msgspec.msgpack.Decoder[ToControl]] = msgspec.msgpack.Decoder(ToControl)
FROM_CONTROL: Final[msgspec.msgpack.Decoder[FromControl]] = msgspec.msgpack.Decoder(FromControl)
TO_RUNS: Final[msgspec.msgpack.Decoder[ToRuns]] = msgspec.msgpack.Decoder(ToRuns)
FROM_RUNS: Final[msgspec.msgpack.Decoder[FromRuns]] = msgspec.msgpack.Decoder(FromRuns)


def _size(part: Buffer) -> int:
    return part.nbytes if isinstance(part, memoryview) else len(part)
