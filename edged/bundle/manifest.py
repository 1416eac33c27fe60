"""What a bundle says about itself: ``manifest.json`` as types.

The JSON Schema that publishers see is generated from these types. Two kinds of rules exist: those of one field, which the types
carry, and those between fields (files that must be listed, names that must match), which ``parse_manifest`` checks after. Both
kinds are reported together with the JSON pointer of each problem.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

import msgspec

from edged.codec import Document, decode_json
from edged.errors import ManifestError, Problem
from edged.ids import DIGEST_PATTERN, MODEL_NAME_PATTERN, VERSION_PATTERN, Digest, ModelName, Version
from edged.pipeline.spec import Pipeline, TensorSpec
from edged.pipeline.steps import TensorName

MANIFEST_NAME: Final = "manifest.json"
MAX_MANIFEST_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 1 << 20

Sha256 = Annotated[str, msgspec.Meta(pattern=DIGEST_PATTERN)]
# One path below the bundle: no empty, "." or ".." part, no backslash, no control character.
BundlePath = Annotated[
    str, msgspec.Meta(pattern=r"^(?!.*(^|/)\.{1,2}(/|$))[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*$(?!\n)", max_length=255)
]
ByteCount = Annotated[int, msgspec.Meta(ge=0, le=1 << 44)]
Architecture = Literal["amd64", "arm64"]
"""Debian's names of the architectures edged runs on."""

Accelerator = Literal["cpu", "gpu", "npu"]
Tier = Literal["speed", "memory", "quality"]
Precision = Literal["fp32", "fp16", "int8"]
Format = Literal["onnx", "tflite", "openvino", "executorch", "coreml", "tensorrt"]
Role = Literal["model", "labels", "kit", "sample", "sbom", "licence", "document"]


class FileEntry(Document, frozen=True, kw_only=True):
    """One file of a bundle, and the digests that pin every byte of it."""

    path: BundlePath
    role: Role
    sha256: Sha256
    size: ByteCount
    index: Sha256 | None = None
    """SHA-256 of the file's chunk index document; present when the file is larger than one chunk."""

    @property
    def digest(self) -> Digest:
        """The file's SHA-256."""
        return Digest(self.sha256)


class ChunkIndex(Document, frozen=True, kw_only=True):
    """The digests of a blob's chunks in order; every chunk but the last has ``chunk_bytes`` bytes."""

    schema: Literal[1]
    chunk_bytes: Annotated[int, msgspec.Meta(ge=4096, le=1 << 26)]
    size: ByteCount
    sha256: Annotated[tuple[Sha256, ...], msgspec.Meta(min_length=1, max_length=1 << 20)]


class Targets(Document, frozen=True, kw_only=True):
    """The machines a variant is for."""

    arch: Annotated[tuple[Architecture, ...], msgspec.Meta(min_length=1)]
    accelerators: tuple[Accelerator, ...] = ("cpu",)
    """Any one of them is enough."""
    min_memory_bytes: ByteCount = 0
    cpu_features: tuple[str, ...] = ()
    """All of them are needed; names as in /proc/cpuinfo."""


class Runtime(Document, frozen=True, kw_only=True):
    """The runtime that executes a variant."""

    name: Literal["onnxruntime"]
    version: Annotated[str, msgspec.Meta(pattern=r"^>=\d+\.\d+(\.\d+)?(,<\d+(\.\d+){0,2})?$(?!\n)")]
    """``>=1.20`` or ``>=1.20,<2``."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


class Budget(Document, frozen=True, kw_only=True):
    """What one inference may cost on the machines a variant targets."""

    latency_ms: Annotated[float, msgspec.Meta(gt=0, le=1e9)]
    memory_bytes: Annotated[int, msgspec.Meta(gt=0, le=1 << 44)]
    power_watts: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


class Session(Document, frozen=True, kw_only=True):
    """How the runtime executes a variant, where the defaults for small devices do not fit it."""

    threads: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Threads within one run. Small models are fastest with one; requests run beside each other anyway."""
    spinning: bool = False
    """Whether threads wait actively for their next work, which takes the core from others."""


class Batching(Document, frozen=True, kw_only=True):
    """A promise: the rows of the model's tensors do not depend on each other, so requests may share a run."""

    max_rows: Annotated[int, msgspec.Meta(ge=2, le=4096)]
    """Most rows (first axis) of one run."""


class State(Document, frozen=True, kw_only=True):
    """An output that becomes an input of the next request of the same sequence, beginning with zeros."""

    input: TensorName
    output: TensorName
    """Of the same datatype and shape; free axes (-1) are 1 in the beginning."""


class Variant(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One build of the model, named NAME-VERSION-PRECISION-ARCH."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][A-Za-z0-9._+-]{0,127}$(?!\n)")]
    tier: Tier
    precision: Precision
    format: Format
    files: Annotated[tuple[FileEntry, ...], msgspec.Meta(min_length=1)]
    targets: Targets
    runtime: Runtime
    inputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    budget: Budget
    session: Session = Session()
    batching: Batching | None = None
    state: Annotated[tuple[State, ...], msgspec.Meta(max_length=16)] = ()

    @property
    def model_file(self) -> FileEntry:
        """The file the runtime loads."""
        return next(file for file in self.files if file.role == "model")


class Tolerance(Document, frozen=True, kw_only=True):
    """How far one output may be from its golden value."""

    output: TensorName
    absolute: Annotated[float, msgspec.Meta(ge=0, le=1e9)] = 0.0
    """Largest difference of any element; 0 asks for equality. BYTES are always compared for equality."""


class Validation(Document, frozen=True, kw_only=True):
    """The validation kit: samples with golden outputs, and tolerances. ``kit`` is a ``edged.bundle.kit.Kit`` document."""

    kit: BundlePath
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(min_length=1)]


class Fallback(Document, frozen=True, kw_only=True):
    """What answers when this model cannot; the first entry that applies."""

    use: Literal["previous-version", "refuse"]


class Provenance(Document, frozen=True, kw_only=True):
    """Where the model came from, under which licence, and the digest of what it was trained with, when known."""

    source: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    licence: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """An SPDX expression."""
    training_config_sha256: Sha256 | None = None


class Manifest(Document, frozen=True, kw_only=True):
    """A bundle, completely described. ``files`` are the ones all variants share (labels, kit, SBOM)."""

    schema: Literal[1]
    name: Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]
    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]
    min_edged: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]
    variants: Annotated[tuple[Variant, ...], msgspec.Meta(min_length=1, max_length=64)]
    files: tuple[FileEntry, ...]
    pipeline: Pipeline
    validation: Validation
    fallback: tuple[Fallback, ...] = ()
    sbom: BundlePath
    provenance: Provenance

    @property
    def model(self) -> ModelName:
        """The model's name."""
        return ModelName(self.name)

    @property
    def semver(self) -> Version:
        """The bundle's version, comparable."""
        return Version.parse(self.version)

    def files_for(self, variants: Sequence[Variant]) -> list[FileEntry]:
        """Return the shared files and those of some variants, each path once."""
        entries = [*self.files, *(file for variant in variants for file in variant.files)]
        return list({entry.path: entry for entry in entries}.values())

    def file(self, path: str) -> FileEntry:
        """Return the shared file with this path; ``parse_manifest`` has made sure that named files are listed."""
        return next(entry for entry in self.files if entry.path == path)


def parse_manifest(data: bytes, *, source: str) -> Manifest:
    """Read a manifest and check the rules between its fields.

    Args:
        data: The document.
        source: What to call it in errors.

    Raises:
        ManifestError: With every problem found.
    """
    manifest = decode_json(Manifest, data, source=source, error=ManifestError)
    if problems := list(_cross_checks(manifest)):
        raise ManifestError(source, problems)
    return manifest


def _cross_checks(manifest: Manifest) -> Iterator[Problem]:
    shared = {entry.path: entry for entry in manifest.files}
    yield from _paths_agree(manifest)
    yield from _listed("/sbom", manifest.sbom, "sbom", shared)
    yield from _listed("/validation/kit", manifest.validation.kit, "kit", shared)
    for i, step in enumerate(manifest.pipeline.post):
        if (file := getattr(step, "file", None)) is not None:
            yield from _listed(f"/pipeline/post/{i}/file", file, "labels", shared)
    outputs = {spec.name for spec in manifest.pipeline.outputs}
    for i, tolerance in enumerate(manifest.validation.tolerance):
        if tolerance.output not in outputs:
            yield Problem(
                pointer=f"/validation/tolerance/{i}/output", expected=_one_of(outputs), found=tolerance.output
            )
    ids = [variant.id for variant in manifest.variants]
    for i, variant in enumerate(manifest.variants):
        where = f"/variants/{i}"
        prefix = f"{manifest.name}-{manifest.version}-{variant.precision}-"
        if not variant.id.startswith(prefix):
            yield Problem(pointer=f"{where}/id", expected=f"expected {prefix}ARCH", found=variant.id)
        if ids.index(variant.id) != i:
            yield Problem(pointer=f"{where}/id", expected="expected an id no other variant has", found=variant.id)
        if sum(file.role == "model" for file in variant.files) != 1:
            yield Problem(pointer=f"{where}/files", expected="expected exactly one file with role model")
        yield from _pipeline_meets_model(manifest.pipeline, variant, where)
        yield from _batching_fits(variant, where)
        yield from _states_fit(variant, where)


def _paths_agree(manifest: Manifest) -> Iterator[Problem]:
    """One path means one content, no path is also a directory of another, and none takes the manifest's own name."""
    seen: dict[str, str] = {MANIFEST_NAME: ""}
    places = [(f"/files/{i}", entry) for i, entry in enumerate(manifest.files)]
    for v, variant in enumerate(manifest.variants):
        places += [(f"/variants/{v}/files/{i}", entry) for i, entry in enumerate(variant.files)]
    for where, entry in places:
        if seen.setdefault(entry.path, entry.sha256) != entry.sha256:
            yield Problem(pointer=f"{where}/path", expected="expected a path no other content has", found=entry.path)
        if (entry.index is not None) != (entry.size > CHUNK_BYTES):
            yield Problem(
                pointer=f"{where}/index", expected=f"expected an index exactly when size is above {CHUNK_BYTES}"
            )
    for where, entry in places:
        if any(str(parent) in seen for parent in PurePosixPath(entry.path).parents):
            yield Problem(
                pointer=f"{where}/path", expected="expected a path that is not below another file", found=entry.path
            )


def _pipeline_meets_model(pipeline: Pipeline, variant: Variant, where: str) -> Iterator[Problem]:
    """Every tensor read is an input of the pipeline or was written before; the model's inputs and all outputs are reached."""
    known = {spec.name for spec in pipeline.inputs}
    for i, step in enumerate(pipeline.pre):
        if step.input not in known:
            yield Problem(pointer=f"/pipeline/pre/{i}/input", expected=_one_of(known), found=step.input)
        known.add(step.output)
    for i, spec in enumerate(variant.inputs):
        if spec.name not in known:
            yield Problem(pointer=f"{where}/inputs/{i}/name", expected=_one_of(known), found=spec.name)
    known = {spec.name for spec in variant.outputs}
    for i, post in enumerate(pipeline.post):
        if post.input not in known:
            yield Problem(pointer=f"/pipeline/post/{i}/input", expected=_one_of(known), found=post.input)
        known |= {getattr(post, name) for name in ("output", "values", "indices") if hasattr(post, name)}
    for i, spec in enumerate(pipeline.outputs):
        if spec.name not in known:
            yield Problem(pointer=f"/pipeline/outputs/{i}/name", expected=_one_of(known), found=spec.name)


def _batching_fits(variant: Variant, where: str) -> Iterator[Problem]:
    """Requests can share a run only where every tensor of the model is rows of any number; states belong to one request."""
    if variant.batching is None:
        return
    if variant.state:
        yield Problem(pointer=f"{where}/batching", expected="expected no batching beside state")
    for kind, specs in (("inputs", variant.inputs), ("outputs", variant.outputs)):
        for i, spec in enumerate(specs):
            if spec.shape[:1] != (-1,):
                yield Problem(
                    pointer=f"{where}/{kind}/{i}/shape",
                    expected="expected -1 as first axis, because of batching",
                    found=str(list(spec.shape)),
                )


def _states_fit(variant: Variant, where: str) -> Iterator[Problem]:
    inputs = {spec.name: spec for spec in variant.inputs}
    outputs = {spec.name: spec for spec in variant.outputs}
    seen: set[str] = set()
    for i, state in enumerate(variant.state):
        source, target = outputs.get(state.output), inputs.get(state.input)
        if target is None or state.input in seen:
            yield Problem(
                pointer=f"{where}/state/{i}/input", expected=f"{_one_of(set(inputs))}, each once", found=state.input
            )
        if source is None:
            yield Problem(pointer=f"{where}/state/{i}/output", expected=_one_of(set(outputs)), found=state.output)
        if source and target and (source.dtype, len(source.shape)) != (target.dtype, len(target.shape)):
            yield Problem(
                pointer=f"{where}/state/{i}",
                expected="expected an output and an input of one datatype and rank",
                found=f"{source.dtype} {list(source.shape)} and {target.dtype} {list(target.shape)}",
            )
        if target and target.dtype == "BYTES":
            yield Problem(pointer=f"{where}/state/{i}/input", expected="expected a tensor of numbers", found="BYTES")
        seen.add(state.input)


def _listed(pointer: str, path: str, role: Role, shared: dict[str, FileEntry]) -> Iterator[Problem]:
    entry = shared.get(path)
    if entry is None or entry.role != role:
        yield Problem(pointer=pointer, expected=f"expected a path listed in /files with role {role}", found=path)


def _one_of(names: set[str]) -> str:
    return "expected one of " + ", ".join(sorted(names))
