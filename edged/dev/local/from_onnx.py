"""Makes a bundle of an ONNX file: one variant, no steps, its own tensors in and out, and a kit that the model makes itself."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import structs

from edged import __version__
from edged.bundle.kit import KIT_NAME
from edged.bundle.manifest import (
    MANIFEST_NAME,
    Budget,
    FileEntry,
    Manifest,
    Provenance,
    Role,
    Targets,
    Tolerance,
    Validation,
    Variant,
)
from edged.bundle.parse import parse_manifest
from edged.codec import encode_readable
from edged.dev.local.asking import MIB, Asked, ask
from edged.errors import UnsafeModelError
from edged.files import hash_bytes
from edged.ids import ModelName, Version
from edged.onnx.protobuf import GarbledError, WireType, read_fields
from edged.onnx.safety import check_model
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.publish.building.first_recipe import precision_of
from edged.publish.building.recipe import FIRST_EDGED, ONNX_RUNTIME
from edged.publish.formats.onnx import read_tensors
from edged.publish.repository.blobs import read_content
from edged.runtime.specs import open_variant
from edged.telemetry.processes import read_available_bytes

KIT: Final = f"kit/{KIT_NAME}"
SBOM: Final = "sbom.cdx.json"
UNKNOWN: Final = Budget(latency_ms=1.0, memory_bytes=MIB)
"""Of a model that was not asked yet; nobody judges by it."""
_CLOSE: Final = 0.001
"""What answers of one model on one machine differ by at most, as where threads add up in another order."""
_GRAPH: Final = 7
"""onnx.proto: ModelProto.graph."""


def bundle_from_onnx(model: Path, directory: Path, *, name: ModelName, version: Version, source: str) -> Manifest:
    """Make a bundle.

    Args:
        model: The file; becomes part of the bundle.
        directory: Of the bundle; must not exist.
        name: Of the model.
        version: Of the bundle.
        source: What the file is called by its developer.

    Returns:
        Its manifest.

    Raises:
        EdgedError: It is no model that a device could run, or not one that a kit can be made for.
    """
    data = model.read_bytes()
    _check(data)
    inputs, outputs = read_tensors(data)
    path = f"models/{name}-{version}.onnx"
    (directory / path).parent.mkdir(parents=True)
    model.replace(directory / path)
    precision = precision_of(data)
    variant = Variant(
        id=f"{name}-{version}-{precision}-any",
        tier="quality",
        precision=precision,
        format="onnx",
        files=(_entry(directory, path, "model"),),
        targets=Targets(arch=("amd64", "arm64")),
        runtime=ONNX_RUNTIME,
        inputs=inputs,
        outputs=outputs,
        budget=UNKNOWN,
    )
    manifest = Manifest(
        schema=1,
        name=name,
        version=str(version),
        min_edged=FIRST_EDGED,
        variants=(variant,),
        files=(),
        pipeline=Pipeline(inputs=inputs, outputs=outputs),
        validation=Validation(kit=KIT, tolerance=tuple(map(_tolerance, outputs))),
        sbom=SBOM,
        provenance=Provenance(source=f"the file {source}"[-500:], licence="LicenseRef-unknown", supplier=made_by()),
    )
    asked = _ask(directory, manifest)
    _write(directory, {KIT: encode_readable(asked.kit), **asked.files, SBOM: _sbom(manifest)})
    complete = structs.replace(
        manifest,
        variants=(structs.replace(variant, budget=asked.budget),),
        files=(
            _entry(directory, KIT, "kit"),
            *(_entry(directory, path, "sample") for path in sorted(asked.files)),
            _entry(directory, SBOM, "sbom"),
        ),
    )
    document = encode_readable(complete)
    parse_manifest(document, source=source)
    _write(directory, {MANIFEST_NAME: document})
    return complete


def made_by() -> str:
    """Return who made a bundle of a file: another edged may make another of it."""
    return f"edged dev {__version__}"


def _check(data: bytes) -> None:
    """Make sure that a model may be loaded.

    Raises:
        UnsafeModelError: It may not, or it is none.
    """
    try:
        is_model = any(
            field.number == _GRAPH and field.wire is WireType.LENGTH for field in read_fields(data, 0, len(data))
        )
    except GarbledError:
        is_model = False
    if not is_model:
        raise UnsafeModelError("this is no ONNX file", hint="Export the model to ONNX, and name that file.")
    check_model(data)


def _ask(directory: Path, manifest: Manifest) -> Asked:
    with ExitStack() as stack:
        spec, descriptors = stack.enter_context(
            open_variant(directory, manifest, manifest.variants[0], memory_limit_bytes=read_available_bytes())
        )
        return asyncio.run(ask(spec, descriptors))


def _tolerance(spec: TensorSpec) -> Tolerance:
    if spec.dtype.startswith("FP"):
        return Tolerance(output=spec.name, absolute=_CLOSE, relative=_CLOSE)
    return Tolerance(output=spec.name)


def _sbom(manifest: Manifest) -> bytes:
    """Write the least that a bill of materials has to say: the model with its digest (CycloneDX 1.6)."""
    component = {
        "type": "machine-learning-model",
        "name": manifest.name,
        "version": manifest.version,
        "hashes": [{"alg": "SHA-256", "content": manifest.variants[0].model_file.sha256}],
    }
    return encode_readable({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": [component]})


def _entry(directory: Path, path: str, role: Role) -> FileEntry:
    content = read_content(directory / path)
    index = None if content.index is None else hash_bytes(content.index)
    return FileEntry(path=path, role=role, sha256=content.digest, size=content.size, index=index)


def _write(directory: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
