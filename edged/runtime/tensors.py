"""Tensors as they travel: a name, a datatype, a shape and bytes.

The bytes are those of the Open Inference Protocol's binary tensor extension: row-major, little-endian, BOOL as one byte, and each
BYTES element as a 4-byte little-endian length followed by its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edged.pipeline.spec import Datatype


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One tensor; whoever makes it has checked that ``data`` has the size that ``dtype`` and ``shape`` ask for."""

    name: str
    dtype: Datatype
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResult:
    """What a worker answers."""

    outputs: Sequence[Tensor]
    run_s: float
    """Seconds in the worker: pre-processing, model and post-processing."""
