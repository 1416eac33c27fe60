"""A model with its pipeline, ready to answer: what a worker holds, without the process around it."""

import os
from collections.abc import Sequence

from edged.errors import BundleError, DigestMismatchError
from edged.files import hash_bytes
from edged.pipeline.ops import Arrays, Stage, compile_post, compile_pre
from edged.pipeline.spec import TensorSpec
from edged.runtime.arrays import Array, datatype_of, fits, to_array, to_tensor
from edged.runtime.backends import Backend, Session
from edged.runtime.requests import check_request
from edged.runtime.tensors import Tensor
from edged.runtime.wire import FilePin, WorkerSpec


def read_pinned(descriptor: int, pin: FilePin) -> bytes:
    """Read a whole file and check that it is the one that was signed.

    The bytes returned are the bytes that were hashed: a file that changes afterwards changes nothing.

    Raises:
        DigestMismatchError: It is another file, or has changed.
        OSError: It cannot be read.
    """
    found = os.fstat(descriptor).st_size
    # First the size, so that a swapped file of any length is not read into memory.
    if found != pin.size:
        raise DigestMismatchError(
            f"{pin.path} has {found} bytes, {pin.size} were signed", hint="Fetch the bundle again."
        )
    data = os.pread(descriptor, pin.size, 0)
    # One call reads at most 2 GiB; putting parts together doubles the memory, so it is left to files that need it.
    while len(data) < pin.size and (more := os.pread(descriptor, pin.size - len(data), len(data))):
        data += more
    if (digest := hash_bytes(data)) != pin.sha256:
        raise DigestMismatchError(
            f"{pin.path} hashes to {digest}, {pin.sha256} was signed", hint="Fetch the bundle again."
        )
    return data


class Model:
    """A session between its pre- and post-processing."""

    def __init__(self, spec: WorkerSpec, session: Session, pre: Stage, post: Stage) -> None:
        self._spec = spec
        self._session = session
        self._pre = pre
        self._post = post
        self._raw_inputs = {item.name: item for item in spec.variant.inputs}
        self._outputs = {item.name: item for item in spec.pipeline.outputs}

    def infer(self, tensors: Sequence[Tensor], outputs: Sequence[str]) -> list[Tensor]:
        """Answer one request.

        Args:
            tensors: Either the pipeline's inputs or the model's own, which skip the steps before the model.
            outputs: Names wanted, in the order wanted; empty means all.

        Raises:
            TensorError: A tensor is missing, unknown or not as the manifest says.
            BundleError: The pipeline does not fit what the model gives.
            BackendError: The runtime failed.
        """
        is_raw = check_request(self._spec, tensors, outputs)
        arrays: Arrays = {tensor.name: to_array(tensor) for tensor in tensors}
        if not is_raw:
            arrays = self._checked(self._pre.run(arrays))
        # Only what the manifest names goes on, so that a request's tensor never hides one of the model's.
        results = self._post.run(self._session.run({name: arrays[name] for name in self._raw_inputs}))
        return [_give(self._outputs[name], results[name]) for name in outputs or self._outputs]

    def _checked(self, arrays: Arrays) -> Arrays:
        for name, spec in self._raw_inputs.items():
            _check_array(spec, arrays[name], "the steps before the model give")
        return arrays


def load_model(spec: WorkerSpec, descriptors: Sequence[int], backend: Backend) -> Model:
    """Read, verify and load everything a specification names.

    Args:
        spec: What to load.
        descriptors: One open file for each of ``spec.files``, in order; left open.
        backend: What executes the model.

    Raises:
        DigestMismatchError: A file is not the one that was signed.
        BundleError: The pipeline cannot be prepared, or the specification has no model.
        UnsafeModelError: The model asks for what no model may.
        IncompatibleError: The runtime is not one the variant is for.
        ModelLoadError: The runtime refuses the model.
    """
    if len(descriptors) != len(spec.files):
        raise BundleError(f"{spec.name}: {len(descriptors)} files handed over, {len(spec.files)} named")
    pins = dict(zip(spec.files, descriptors, strict=True))
    models = [pin for pin in pins if pin.role == "model"]
    if len(models) != 1:
        raise BundleError(f"{spec.name}: {len(models)} files have role model, expected one")
    others = {pin.path: read_pinned(descriptor, pin) for pin, descriptor in pins.items() if pin is not models[0]}
    pre, post = compile_pre(spec.pipeline, others), compile_post(spec.pipeline, others)
    session = backend.load(read_pinned(pins[models[0]], models[0]), spec.variant)
    return Model(spec, session, pre, post)


def _give(spec: TensorSpec, array: Array) -> Tensor:
    _check_array(spec, array, "the model gives")
    return to_tensor(spec.name, array)


def _check_array(spec: TensorSpec, array: Array, who: str) -> None:
    dtype = datatype_of(array)
    if dtype != spec.dtype or not fits(array.shape, spec.shape):
        raise BundleError(
            f"{who} {spec.name} as {dtype} {list(array.shape)}, the manifest says {spec.dtype} {list(spec.shape)}",
            hint="Correct the manifest's pipeline or tensors.",
        )
