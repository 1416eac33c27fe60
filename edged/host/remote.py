"""From what a worker says to what its caller gets; a worker is not trusted, so everything is checked."""

from collections.abc import Sequence
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
from edged.pipeline.datatypes import size_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor, check_tensor, fits
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
        WireError: It gives other tensors, or of other datatypes, shapes or sizes.
    """
    if len(heads) != len(wanted):
        raise WireError(f"an answer has {len(heads)} outputs, {len(wanted)} were asked for")
    for head, spec in zip(heads, wanted, strict=True):
        if head.name != spec.name or head.dtype != spec.dtype or not fits(head.shape, spec.shape):
            raise WireError(
                f"output {head.name} is {head.dtype} {list(head.shape)}, expected {spec.name} as {spec.dtype} {list(spec.shape)}"
            )
        if head.dtype != "BYTES" and head.size != size_bytes(head.dtype, head.shape):
            raise WireError(f"output {head.name}: {head.dtype} {list(head.shape)} does not have {head.size} bytes")


def tensor_of(head: TensorHead, data: bytes) -> Tensor:
    """Return an output whose head was checked.

    Raises:
        WireError: The bytes are not those of a tensor of BYTES, or fewer than the head says.
    """
    tensor = Tensor(name=head.name, dtype=head.dtype, shape=head.shape, data=data)
    if len(data) != head.size:
        raise WireError(f"output {head.name}: {len(data)} of {head.size} bytes are there")
    if head.dtype == "BYTES":
        try:
            check_tensor(tensor)
        except TensorError as exc:
            raise WireError(str(exc)) from exc
    return tensor


def printable(text: str) -> str:
    """Make a worker's words safe for journals and terminals, which take control characters for commands."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
