"""Tensors as they travel: a name, a datatype, a shape and bytes.

The bytes are those of the Open Inference Protocol's binary tensor extension: row-major, little-endian, BOOL as one byte, and each
BYTES element as a 4-byte little-endian length followed by its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from edged.errors import TensorError
from edged.pipeline.datatypes import LENGTH, Buffer, size_bytes
from edged.pipeline.spec import Datatype, TensorSpec


class Described(Protocol):
    """A tensor, or what is said about one."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def dtype(self) -> Datatype:
        """Its datatype."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor; whoever makes it has checked that ``data`` has the size that ``dtype`` and ``shape`` ask for."""

    name: str
    dtype: Datatype
    shape: tuple[int, ...]
    data: Buffer
    at: int | None = None
    """Where ``data`` begins in the shared memory of its request; None when it is in no memory that a worker shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResult:
    """What a worker answers."""

    outputs: Sequence[Tensor]
    run_s: float
    """Seconds in the worker: pre-processing, model and post-processing; of the whole batch when it ran in one."""
    batch: int = 1
    """Requests that ran together with this one, itself included."""
    features: Sequence[Tensor] | None = None
    """What the steps before the model made of the inputs, where that was wanted and there was room for it."""
    had_features: bool = False
    """That was known already: the steps before the model were not done."""


def check_tensor(tensor: Tensor) -> None:
    """Check that a tensor's bytes are those of its datatype and shape.

    Raises:
        TensorError: They are too few or too many.
    """
    if tensor.dtype == "BYTES":
        elements_of(tensor, memoryview(tensor.data))
    else:
        check_size(tensor, tensor.data)


def check_size(tensor: Described, data: Buffer) -> None:
    """Check how many bytes a tensor of numbers has.

    Raises:
        TensorError: It is not the size of its datatype and shape.
    """
    expected = size_bytes(tensor.dtype, tensor.shape)
    found = data.nbytes if isinstance(data, memoryview) else len(data)
    if found != expected:
        raise TensorError(
            f"tensor {tensor.name}: {tensor.dtype} {list(tensor.shape)} has {expected} bytes, got {found}"
        )


def elements_of(tensor: Described, data: memoryview) -> list[bytes]:
    """Return the elements of a tensor of BYTES.

    Raises:
        TensorError: The bytes are not as many elements as its shape has.
    """
    count = prod(tensor.shape)
    if count * LENGTH.size > data.nbytes:  # also keeps an absurd shape from being counted through
        raise TensorError(
            f"tensor {tensor.name}: BYTES {list(tensor.shape)} has {count} lengths, got {data.nbytes} bytes in all"
        )
    elements = []
    at = 0
    for i in range(count):
        if at + LENGTH.size > data.nbytes:
            raise TensorError(f"tensor {tensor.name}: element {i} of {count} is missing")
        (length,) = LENGTH.unpack_from(data, at)
        at += LENGTH.size
        if length > data.nbytes - at:
            raise TensorError(f"tensor {tensor.name}: element {i} has {length} bytes, {data.nbytes - at} are left")
        elements.append(bytes(data[at : at + length]))
        at += length
    if at != data.nbytes:
        raise TensorError(f"tensor {tensor.name}: {data.nbytes - at} bytes after the last element")
    return elements


def check_spec(tensor: Described, spec: TensorSpec) -> None:
    """Check a tensor's datatype and shape against what is wanted.

    Raises:
        TensorError: One of them differs.
    """
    if tensor.dtype != spec.dtype:
        raise TensorError(f"tensor {tensor.name}: datatype is {tensor.dtype}, expected {spec.dtype}")
    if not fits(tensor.shape, spec.shape):
        raise TensorError(f"tensor {tensor.name}: shape is {list(tensor.shape)}, expected {list(spec.shape)}")


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Tell whether a shape is one that is wanted, where -1 is any size."""
    if shape == wanted:
        return True
    if len(shape) != len(wanted):
        return False
    # A loop, because this is asked for every tensor and a generator takes longer to make than to run.
    for have, want in zip(shape, wanted, strict=True):  # noqa: SIM110
        if want not in {-1, have}:
            return False
    return True
