"""From what a worker says to what its caller gets; a worker is not trusted, so everything is checked."""

from collections.abc import Sequence
from typing import Final

from edged.errors import (
    BackendError,
    BundleError,
    DigestMismatchError,
    EdgedError,
    IncompatibleError,
    ModelLoadError,
    TensorError,
    UnsafeModelError,
)
from edged.pipeline.spec import TensorSpec
from edged.runtime.arrays import check_spec, check_tensor
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import Failed, FromWorker, Inferred, WireError, split

_ERRORS: Final[dict[str, type[EdgedError]]] = {
    error.code: error
    for error in (
        BackendError,
        BundleError,
        DigestMismatchError,
        IncompatibleError,
        ModelLoadError,
        TensorError,
        UnsafeModelError,
    )
}


def error_of(message: FromWorker) -> EdgedError:
    """Return the error a worker reports.

    Raises:
        WireError: It reports none.
    """
    if not isinstance(message, Failed):
        raise WireError(f"expected a result, got {type(message).__name__}")
    return _ERRORS.get(message.code, BackendError)(message.message, hint=message.hint)


def result_of(message: FromWorker, payload: bytearray, *, request: int, wanted: Sequence[TensorSpec]) -> InferResult:
    """Return the answer to a request.

    Args:
        message: What came.
        payload: Its tensors' bytes.
        request: The request that was sent.
        wanted: The outputs it asked for, in order.

    Raises:
        EdgedError: The error the worker reports for this request.
        WireError: It is not an answer to this request.
    """
    if isinstance(message, Failed) and message.request == request:
        raise error_of(message)
    if not isinstance(message, Inferred) or message.request != request:
        raise WireError(f"expected the answer to request {request}, got {type(message).__name__}")
    heads = message.tensors
    if [head.name for head in heads] != [spec.name for spec in wanted]:
        raise WireError("the answer has other outputs than were asked for")
    parts = split(heads, payload)
    tensors = [
        Tensor(name=h.name, dtype=h.dtype, shape=h.shape, data=part) for h, part in zip(heads, parts, strict=True)
    ]
    try:
        for tensor, spec in zip(tensors, wanted, strict=True):
            check_spec(tensor, spec)
            check_tensor(tensor)
    except TensorError as exc:
        raise WireError(str(exc)) from exc
    return InferResult(outputs=tensors, run_s=message.run_s)
