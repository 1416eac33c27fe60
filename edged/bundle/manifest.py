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
from edged.pipeline.pipeline import Pipeline, misfits
from edged.pipeline.spec import TensorName, TensorSpec

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
Precision = Literal["fp32", "fp16", "bf16", "int8", "int4"]
Format = Literal["onnx", "tflite", "openvino", "executorch", "coreml", "tensorrt"]
RuntimeName = Literal["onnxruntime", "litert", "openvino", "executorch", "coreml", "tensorrt"]
RUNTIMES: Final[dict[Format, RuntimeName]] = {
    "onnx": "onnxruntime",
    "tflite": "litert",
    "openvino": "openvino",
    "executorch": "executorch",
    "coreml": "coreml",
    "tensorrt": "tensorrt",
}
"""What runs each format."""

Role = Literal[
    "model", "weights", "labels", "tokenizer", "graph", "kit", "sample", "sbom", "signature", "licence", "document"
]
"""``model`` is what the runtime is given, once in a variant; ``weights`` is what lies beside it (OpenVINO, Core ML)."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
MetricName = Literal["mean_absolute_error", "root_mean_square_error", "top_1_accuracy", "label_accuracy"]
"""Measures of a model's answers against the truth; ``edged.validation.metrics`` says how each is computed."""


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

    name: RuntimeName
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


class Tolerance(Document, frozen=True, kw_only=True, omit_defaults=True):
    """How far one output may be from its golden value; what is not given does not apply, and nothing given asks for equality.

    BYTES are compared for equality, or as sets with ``label_set``. NaN is never close to anything.
    """

    output: TensorName
    absolute: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    """Of each element: largest difference. With ``relative``, the sum of both is allowed: absolute + relative * abs(golden)."""
    relative: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    cosine: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    """Of each row (last axis): least cosine similarity."""
    top_1: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Least share of all rows of the kit whose largest element is where the golden one is."""
    label_set: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    """Of each sample's BYTES: least Jaccard similarity (common / all) of the set of labels, whatever their order."""
    period: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    """Values are on a circle of this length, as degrees on one of 360: differences go the shorter way round."""


class MetricLimit(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a measure against the truth has to be, over all samples that have a truth for this output. Either bound, or both."""

    metric: MetricName
    output: TensorName
    at_most: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    at_least: Annotated[float, msgspec.Meta(ge=0, le=1e9)] | None = None
    period: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    """As for ``Tolerance``."""


class Metric(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a measure against the truth was, when the publisher evaluated a variant."""

    metric: MetricName
    output: TensorName
    value: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    samples: Annotated[int, msgspec.Meta(ge=1)]
    period: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


class Ingredient(Document, frozen=True, kw_only=True):
    """Something that a file or a bundle was made from: what it is called, and its SHA-256."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    sha256: Sha256


class Making(Document, frozen=True, kw_only=True, omit_defaults=True):
    """How something was made, so that it can be made again: tools with their versions, the command, and the digests of what went in."""

    tools: Annotated[dict[str, str], msgspec.Meta(max_length=32)]
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    """Without paths of the machine it ran on."""
    inputs: Annotated[tuple[Ingredient, ...], msgspec.Meta(max_length=2000)] = ()


class Origin(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Where one variant's model file came from."""

    method: Literal[
        "exported", "converted", "imported", "quantized-static", "quantized-dynamic", "quantization-aware", "distilled"
    ]
    made_from: Sha256 | None = None
    """SHA-256 of the model file it was made from (for ``distilled``: the teacher's)."""
    making: Making | None = None


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
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(max_length=64)] = ()
    """For outputs where this variant may be off by another amount than ``validation.tolerance`` says; int8 answers less exactly."""
    metrics: Annotated[tuple[Metric, ...], msgspec.Meta(max_length=16)] = ()
    origin: Origin | None = None

    @property
    def model_file(self) -> FileEntry:
        """The file the runtime loads."""
        return next(file for file in self.files if file.role == "model")


class Validation(Document, frozen=True, kw_only=True, omit_defaults=True):
    """The validation kit: samples with golden outputs, and tolerances. ``kit`` is a ``edged.bundle.kit.Kit`` document."""

    kit: BundlePath
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(min_length=1, max_length=64)]
    metrics: Annotated[tuple[MetricLimit, ...], msgspec.Meta(max_length=16)] = ()


class Fallback(Document, frozen=True, kw_only=True):
    """What answers when this model cannot; the first entry that applies."""

    use: Literal["previous-version", "refuse"]


class Provenance(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Where the model came from, under which licence, who supplies it, what it was trained with, and how the bundle was built."""

    source: Text
    licence: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """An SPDX expression."""
    supplier: Text | None = None
    training_config_sha256: Sha256 | None = None
    making: Making | None = None
    """Of the bundle."""


class Manifest(Document, frozen=True, kw_only=True, omit_defaults=True):
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
    signature: BundlePath | None = None
    """The OpenSSF model signature, where the model came with one; what devices trust is TUF."""
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
    # Variants share the pipeline, and so its problems.
    if problems := list(dict.fromkeys(_cross_checks(manifest))):
        raise ManifestError(source, problems)
    return manifest


def _cross_checks(manifest: Manifest) -> Iterator[Problem]:
    shared = {entry.path: entry for entry in manifest.files}
    yield from _paths_agree(manifest)
    yield from _listed("/sbom", manifest.sbom, "sbom", shared)
    yield from _listed("/validation/kit", manifest.validation.kit, "kit", shared)
    if manifest.signature is not None:
        yield from _listed("/signature", manifest.signature, "signature", shared)
    for kind, steps in (("pre", manifest.pipeline.pre), ("post", manifest.pipeline.post)):
        for i, step in enumerate(steps):
            for path, role in step.files.items():
                yield from _listed(f"/pipeline/{kind}/{i}", path, role, shared)
    outputs = {spec.name for spec in manifest.pipeline.outputs}
    yield from _of_outputs("/validation/tolerance", manifest.validation.tolerance, outputs)
    yield from _of_outputs("/validation/metrics", manifest.validation.metrics, outputs)
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
        if variant.runtime.name != RUNTIMES[variant.format]:
            yield Problem(
                pointer=f"{where}/runtime/name",
                expected=f"expected {RUNTIMES[variant.format]}, which runs {variant.format}",
                found=variant.runtime.name,
            )
        yield from _of_outputs(f"{where}/tolerance", variant.tolerance, outputs)
        yield from _of_outputs(f"{where}/metrics", variant.metrics, outputs)
        yield from misfits(manifest.pipeline, variant.inputs, variant.outputs, where)
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


def _of_outputs(where: str, items: Sequence[Tolerance | MetricLimit | Metric], outputs: set[str]) -> Iterator[Problem]:
    for i, item in enumerate(items):
        if item.output not in outputs:
            yield Problem(pointer=f"{where}/{i}/output", expected=_one_of(outputs), found=item.output)


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
