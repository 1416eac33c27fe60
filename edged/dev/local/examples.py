"""What a developer may send to a model to see it answer: the first sample of its kit, as commands that work as they stand."""

import shlex
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Final

from edged.bundle.kit import Kit
from edged.bundle.manifest import Manifest
from edged.codec import decode_json, encode_canonical
from edged.errors import ManifestError
from edged.pipeline.datatypes import unpack, unpack_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor
from edged.validation.samples import read_sample

MOST_IN_JSON: Final = 4096
"""Values; a request with more is sent as bytes."""
HEADER_LENGTH: Final = "Inference-Header-Content-Length"
"""Of the protocol's binary tensor extension; with 0, all of the body is the model's one input."""


def write_example(bundle: Path, manifest: Manifest, *, place: Path, socket: Path) -> Sequence[str]:
    """Write the first sample of a bundle's kit into files.

    Args:
        bundle: The bundle's directory.
        manifest: Of the bundle.
        place: Where the files go; they begin with the model's name.
        socket: Where the model is asked.

    Returns:
        Commands for a shell.

    Raises:
        EdgedError: There is no such sample.
        OSError: The files cannot be written.
    """
    kit_path = manifest.validation.kit
    kit = decode_json(Kit, (bundle / kit_path).read_bytes(), source=kit_path, error=ManifestError)
    inputs = manifest.pipeline.inputs
    tensors = read_sample(bundle, inputs, kit.samples[0])
    commands = [_curl(manifest.name, *_request(tensors), place=place, socket=socket)]
    if len(inputs) == 1 and _may_be_file(inputs[0], tensors[0]):
        file = place / f"{manifest.name}.input"
        file.write_bytes(_content(tensors[0]))
        commands.append(shlex.join(["edgectl", "--socket", str(socket), "infer", manifest.name, str(file)]))
    return commands


def _may_be_file(spec: TensorSpec, tensor: Tensor) -> bool:
    """Tell whether the bytes of a file are the whole input: the protocol must be able to tell its shape."""
    return prod(tensor.shape) == 1 if spec.dtype == "BYTES" else spec.shape.count(-1) <= 1


def _content(tensor: Tensor) -> bytes:
    return bytes(next(unpack_bytes(tensor.data)) if tensor.dtype == "BYTES" else tensor.data)


def _request(tensors: Sequence[Tensor]) -> tuple[bytes, Mapping[str, str]]:
    """Return a request and its header fields: as JSON where a person can read it, else bytes behind a JSON header."""
    if sum(prod(tensor.shape) for tensor in tensors) <= MOST_IN_JSON:
        try:
            return encode_canonical(
                {"inputs": [_described(tensor) | {"data": _values(tensor)} for tensor in tensors]}
            ), {}
        except UnicodeDecodeError:
            pass  # bytes that are no text
    sizes = [{"parameters": {"binary_data_size": len(tensor.data)}} for tensor in tensors]
    header = encode_canonical(
        {"inputs": [_described(tensor) | size for tensor, size in zip(tensors, sizes, strict=True)]}
    )
    body = b"".join([header, *(bytes(tensor.data) for tensor in tensors)])
    return body, {HEADER_LENGTH: str(len(header))}


def _described(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "datatype": tensor.dtype, "shape": list(tensor.shape)}


def _values(tensor: Tensor) -> list[Any]:
    if tensor.dtype == "BYTES":
        return [bytes(element).decode() for element in unpack_bytes(tensor.data)]
    values = unpack(tensor.dtype, tensor.data)
    # Shorter than exact: it is read by people.
    return [float(f"{value:.6g}") if isinstance(value, float) else value for value in values]


def _curl(model: str, body: bytes, fields: Mapping[str, str], *, place: Path, socket: Path) -> str:
    file = place / f"{model}.{'request' if fields else 'json'}"
    file.write_bytes(body)
    options = [word for name, value in fields.items() for word in ("-H", f"{name}: {value}")]
    url = f"http://localhost/v2/models/{model}/infer"
    return shlex.join(["curl", "--unix-socket", str(socket), *options, "--data-binary", f"@{file}", url])
