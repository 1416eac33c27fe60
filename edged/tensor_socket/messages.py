"""What app and edged say to each other on the tensor socket, as values. Standard library only: apps use this module, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

PROTOCOL_VERSION: Final = 1
MAX_MESSAGE_BYTES: Final = 64 << 10
MAX_TENSORS: Final = 64
"""Most inputs and most outputs of one request."""
MAX_ENTRIES: Final = 3 * MAX_TENSORS
"""Most tensors in the table of a model."""
MAX_RANK: Final = 8
MAX_TEXT_BYTES: Final = 4096
ALIGNMENT: Final = 64
"""Tensors in the shared memory begin at multiples of this."""
FULL_PERMILLE: Final = 1000
"""The full size, as the protocol writes scales."""


class Datatype(IntEnum):
    """Datatypes of the Open Inference Protocol; their bytes are those of its binary tensor extension."""

    BOOL = 1
    UINT8 = 2
    UINT16 = 3
    UINT32 = 4
    UINT64 = 5
    INT8 = 6
    INT16 = 7
    INT32 = 8
    INT64 = 9
    FP16 = 10
    FP32 = 11
    FP64 = 12
    BYTES = 13


class Kind(IntEnum):
    """What a tensor is for. Inputs and model inputs are numbered together, outputs by themselves; both from 0."""

    INPUT = 1
    MODEL_INPUT = 2
    """The model's own; all of them may be sent in place of the inputs by an app that has done the pre-processing."""
    OUTPUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """A tensor that the model takes or gives."""

    kind: Kind
    index: int
    """By which requests and answers name it."""
    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    """-1 is an axis of any size."""
    is_state: bool = False
    """An input that requests of a sequence may leave out, because edged keeps it between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """The app's first message, with the one descriptor of its memory: the model it wants to ask."""

    model: str
    version: str = ""
    """Empty: whichever is active, also when that changes."""
    is_background: bool = False
    """Nobody waits for the answers."""
    wants_scales: bool = False
    """The app takes scales in OPENED, RESULT and NOTICE; without it they are 0 there, and no NOTICE is about a scale alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The answer to ``Open``: what the model takes and gives, and what the connection may ask for."""

    version: str
    variant: str
    memory_bytes: int
    """Size of the shared memory, as it is used from now on."""
    deadline_us: int
    """Longest time a request may take, and what one without a deadline gets."""
    tensors: Sequence[TensorEntry]
    requests_per_1000_s: int = 0
    """Requests in the long run; 0 is no limit."""
    burst: int = 0
    """Requests at once before that rate counts."""
    wanted_permille: int = 0
    """The scale that the device's policy asks for now, in thousandths of the full size; 0 for an app that takes no scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A tensor in the shared memory."""

    index: int
    shape: tuple[int, ...]
    offset: int
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """An output that is wanted, and where it may be put."""

    index: int
    offset: int
    capacity: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Infer:
    """A request. Its inputs are not to be changed before it is answered."""

    request: int
    """Chosen by the app, repeated in the answer; not 0."""
    inputs: Sequence[Placed]
    outputs: Sequence[Room]
    deadline_us: int = 0
    """Microseconds from when edged reads it; 0 is the longest allowed."""
    priority: int = 0
    """1 is the most urgent; 0 is no wish."""
    sequence: int = 0
    """Whose state to go on with; 0 is none."""
    is_start: bool = False
    """The sequence begins here, with states of zeros."""
    is_end: bool = False
    """The sequence is forgotten after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to a request; the outputs wanted, in the order wanted."""

    request: int
    run_ns: int
    """In the worker: pre-processing, model and post-processing."""
    outputs: Sequence[Placed]
    scale_permille: int = 0
    """The scale at which the steps before the model were done, in thousandths of the full size; 0 where none were, because the app sent
    the model's own inputs, and for an app that takes no scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """Why a request, or the connection, was refused; the same words as on HTTP."""

    status: int
    """That of HTTP."""
    code: str
    message: str
    hint: str = ""
    request: int = 0
    """0 where it is about the connection."""
    is_closing: bool = False
    """The connection ends with this message."""
    retry_after_ms: int = 0
    """When to ask again; 0 where that makes no sense or nobody knows."""
    output: int | None = None
    """The output that does not fit into its room."""
    needed_bytes: int = 0
    """The room it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What an app was told about its model is otherwise now.

    The model was replaced by another version or variant with the same tensors, which answers requests from now on; or, where version and
    variant are those the app knows, another scale is asked for.
    """

    version: str
    variant: str
    wanted_permille: int = 0
    """As in ``Opened``."""


def permille(share: float) -> int:
    """Return a share of the full size, more than 0 and at most 1, as the protocol writes it."""
    return max(1, round(share * FULL_PERMILLE))


ToServer = Open | Infer
ToClient = Opened | Result | Error | Notice
