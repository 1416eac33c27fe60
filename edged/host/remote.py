"""From what a worker says to what its caller gets; a worker is not trusted, so everything is checked."""

from collections.abc import Sequence
from math import prod
from typing import Final

from edged.errors import (
    BackendError,
    BundleError,
    DeadlineError,
    DigestMismatchError,
    EdgedError,
    IncompatibleError,
    ModelLoadError,
    RequestError,
    SequenceError,
    TensorError,
    UnsafeModelError,
)
from edged.pipeline.datatypes import LENGTH, MAX_BYTES_ELEMENTS, has_elements, size_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor, fits
from edged.runtime.wire import Failed, LoadFailed, TensorHead, WireError

_ERRORS: Final[dict[str, type[EdgedError]]] = {
    error.code: error
    for error in (
        BackendError,
        BundleError,
        DeadlineError,
        DigestMismatchError,
        IncompatibleError,
        ModelLoadError,
        RequestError,
        SequenceError,
        TensorError,
        UnsafeModelError,
    )
}


def error_of(message: Failed | LoadFailed) -> EdgedError:
    """Return the error a worker reports; one that a worker cannot have is a failure of its runtime."""
    return _ERRORS.get(message.code, BackendError)(printable(message.message), hint=printable(message.hint))


def check_heads(heads: Sequence[TensorHead], wanted: Sequence[TensorSpec]) -> None:
    """Check the tensors of an answer before their bytes are looked at.

    Args:
        heads: What the worker says it gives.
        wanted: The outputs it was asked for, in order.

    Raises:
        WireError: It gives other tensors, or of other datatypes, shapes or sizes, or more elements of BYTES than a tensor may have.
    """
    if len(heads) != len(wanted):
        raise WireError(f"an answer has {len(heads)} outputs, {len(wanted)} were asked for")
    for head, spec in zip(heads, wanted, strict=True):
        if head.name != spec.name or head.dtype != spec.dtype or not fits(head.shape, spec.shape):
            raise WireError(
                f"output {head.name} is {head.dtype} {list(head.shape)}, expected {spec.name} as {spec.dtype} {list(spec.shape)}"
            )
        if not _may_have(head):
            raise WireError(f"output {head.name}: {head.dtype} {list(head.shape)} does not have {head.size} bytes")
        if head.dtype == "BYTES" and prod(head.shape) > MAX_BYTES_ELEMENTS:
            raise WireError(
                f"output {head.name} has {prod(head.shape)} elements of BYTES; at most {MAX_BYTES_ELEMENTS} are allowed"
            )


def tensor_of(head: TensorHead, data: bytes) -> Tensor:
    """Return an output whose head was checked.

    Raises:
        WireError: The bytes are not those of a tensor of BYTES, or fewer than the head says.
    """
    if len(data) != head.size:
        raise WireError(f"output {head.name}: {len(data)} of {head.size} bytes are there")
    if head.dtype == "BYTES":
        count = prod(head.shape)
        try:
            is_whole = has_elements(data, count)
        except ValueError as exc:
            raise WireError(f"output {head.name}: {exc}") from exc
        if not is_whole:
            raise WireError(f"output {head.name} does not have {count} elements of BYTES")
    return Tensor(name=head.name, dtype=head.dtype, shape=head.shape, data=data)


def printable(text: str) -> str:
    """Make a worker's words safe for journals and terminals, which take control characters for commands."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _may_have(head: TensorHead) -> bool:
    """Tell whether a tensor of this datatype and shape can have so many bytes."""
    if head.dtype == "BYTES":
        return prod(head.shape) * LENGTH.size <= head.size
    return size_bytes(head.dtype, head.shape) == head.size
