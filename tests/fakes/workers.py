"""Specifications for workers around the tiny models of ``tests.fakes.models``."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from edged.bundle.manifest import Batching, Budget, FileEntry, Runtime, State, Targets, Variant
from edged.files import hash_bytes
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor
from edged.runtime.wire import FilePin, Item, TensorHead, WorkerSpec

MEMORY_BYTES = 512 << 20


def spec_of(name: str, dtype: str, shape: Sequence[int]) -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=tuple(shape))


def pin(path: str, data: bytes, role: str = "model") -> FilePin:
    return FilePin(path=path, role=role, sha256=hash_bytes(data), size=len(data))


def variant_of(
    model: bytes, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], *, runtime: str = ">=1.20,<2"
) -> Variant:
    return Variant(
        id="tiny-1.0.0-fp32-amd64",
        tier="speed",
        precision="fp32",
        format="onnx",
        files=(FileEntry(path="model.onnx", role="model", sha256=hash_bytes(model), size=len(model)),),
        targets=Targets(arch=("amd64", "arm64")),
        runtime=Runtime(name="onnxruntime", version=runtime),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        budget=Budget(latency_ms=1000.0, memory_bytes=64 << 20),
    )


def worker_spec(
    model: bytes,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    pipeline: Pipeline | None = None,
    files: Mapping[str, bytes] | None = None,
    memory_limit_bytes: int = MEMORY_BYTES,
    max_rows: int = 0,
    state: Mapping[str, str] | None = None,
    **settings: object,
) -> WorkerSpec:
    """A specification; without a pipeline, apps send and get the model's own tensors.

    ``max_rows`` turns on batching, ``state`` maps inputs to the outputs that become them, ``settings`` are further fields.
    """
    variant = msgspec.structs.replace(
        variant_of(model, inputs, outputs),
        batching=Batching(max_rows=max_rows) if max_rows else None,
        state=tuple(State(input=name, output=output) for name, output in (state or {}).items()),
    )
    return WorkerSpec(
        name="tiny-1.0.0",
        pipeline=pipeline or Pipeline(inputs=variant.inputs, outputs=variant.outputs),
        variant=variant,
        files=(pin("model.onnx", model), *(pin(path, data, "labels") for path, data in (files or {}).items())),
        memory_limit_bytes=memory_limit_bytes,
        **settings,
    )


def with_pin(spec: WorkerSpec, **changes: object) -> WorkerSpec:
    """The same specification with something else said about its model file."""
    first, *others = spec.files
    return msgspec.structs.replace(spec, files=(msgspec.structs.replace(first, **changes), *others))


def item_of(*tensors: Tensor, outputs: Sequence[str] = (), **fields: object) -> tuple[Item, list[memoryview]]:
    """A request as it travels with all its tensors in the datagram, and their bytes."""
    parts = [memoryview(tensor.data).cast("B") for tensor in tensors]
    heads = tuple(
        TensorHead(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, size=part.nbytes)
        for tensor, part in zip(tensors, parts, strict=True)
    )
    return Item(tensors=heads, outputs=tuple(outputs), **fields), parts


@contextmanager
def opened(directory: Path, *contents: bytes):
    """Files with these contents, open; as descriptors, closed on leaving."""
    with ExitStack() as stack:
        descriptors = []
        for i, data in enumerate(contents):
            path = directory / f"file{i}"
            path.write_bytes(data)
            descriptors.append(os.open(path, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])
        yield descriptors
