"""What a bundle says about itself: ``manifest.json`` as types.

The JSON Schema that publishers see is generated from these types. They carry the rules of each field by itself; those between fields
are in ``edged.bundle.parse``, which is how a manifest is read.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from edged.bundle.fallback import Fallback
from edged.codec import Document
from edged.ids import DIGEST_PATTERN, MODEL_NAME_PATTERN, VERSION_PATTERN, Digest, ModelName, Version
from edged.pipeline.pipeline import Pipeline
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
CpuFeature = Literal[
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "avx512",
    "vnni",
    "amx",
    "neon",
    "dotprod",
    "i8mm",
    "sve",
    "sve2",
    "fp16",
    "bf16",
]
"""What a variant may ask of a CPU; ``edged.select.features`` says which flags of Linux each of them is."""

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
    """Of the whole machine as its kernel counts it (MemTotal), which is 2 to 12 % less than the size it is sold with."""
    cpu_features: tuple[CpuFeature, ...] = ()
    """All of them are needed."""


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
    """What such a machine draws more than idle while it runs."""


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
    samples: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
    period: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None


OriginMethod = Literal[
    "exported", "converted", "imported", "quantized-static", "quantized-dynamic", "quantization-aware", "distilled"
]


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

    method: OriginMethod
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
    fallback: Annotated[tuple[Fallback, ...], msgspec.Meta(max_length=8)] = ()
    """What answers when this model cannot; the first that applies."""
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
        """Return the shared file with this path; ``edged.bundle.parse`` has made sure that named files are listed."""
        return next(entry for entry in self.files if entry.path == path)
