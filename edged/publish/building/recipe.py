"""What a publisher writes to have a bundle built: a TOML recipe as types.

A recipe says what cannot be read from the files themselves. Paths of files are relative to the recipe; paths inside the bundle follow
from the kind of file (``models/<variant id>.onnx``, ``kit/...``) or are given. Variant ids, digests, sizes, and the tensors of the model
are worked out by ``edged.publish.building.build``.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.bundle.fallback import Fallback
from edged.bundle.manifest import (
    Batching,
    Budget,
    BundlePath,
    Format,
    MetricLimit,
    Precision,
    Runtime,
    Session,
    Sha256,
    State,
    Targets,
    Text,
    Tier,
    Tolerance,
)
from edged.codec import Document, convert
from edged.errors import ManifestError, Problem, UsageError
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec

FIRST_EDGED: Final = "0.1.0"
"""The first edged that reads manifests of schema 1; a bundle that uses nothing newer needs no newer edged."""

ONNX_RUNTIME: Final = Runtime(name="onnxruntime", version=">=1.20,<2")
"""What runs an ONNX variant that does not say otherwise."""
MAX_RECIPE_BYTES: Final = 1 << 20
SourcePath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class RecipeVariant(Document, frozen=True, kw_only=True):
    """One build of the model; ``edged.publish.building.naming`` says what its id is.

    What is known of the file by ``MODEL.origin.json`` beside it (``edged.publish.building.sidecar``) comes into the bundle with it.
    """

    model: SourcePath
    """The model's file: ``.onnx``, ``.tflite``, ``.xml`` of OpenVINO with ``.bin`` beside it, ``.pte``, ``.engine``, or the ``.mlpackage``
    directory."""
    tier: Tier
    precision: Precision
    targets: Targets
    budget: Budget
    format: Format = "onnx"
    runtime: Runtime | None = None
    """ONNX Runtime 1.20 up to 2 for ``onnx``; has to be given for the other formats."""
    inputs: tuple[TensorSpec, ...] = ()
    """Only for formats other than ``onnx``, in place of what the file says; where neither does, those of the first ONNX variant."""
    outputs: tuple[TensorSpec, ...] = ()
    """As ``inputs``."""
    session: Session = Session()
    batching: Batching | None = None
    state: tuple[State, ...] = ()
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(max_length=64)] = ()
    """For outputs where this variant may be off by another amount than ``validation.tolerance`` says."""

    @property
    def arch(self) -> str:
        """The fourth part of the variant's id."""
        return self.targets.arch[0] if len(self.targets.arch) == 1 else "any"


class RecipeFile(Document, frozen=True, kw_only=True):
    """A file that all variants share."""

    source: SourcePath
    path: BundlePath
    role: Literal["labels", "tokenizer", "graph", "licence", "document"]


class RecipeValidation(Document, frozen=True, kw_only=True):
    """The validation kit: ``kit`` is its JSON document or the directory with ``kit.json`` in it.

    The ``input`` of each sample is relative to that document; in the bundle both lie below ``kit/``.
    """

    kit: SourcePath
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(min_length=1)]
    metrics: Annotated[tuple[MetricLimit, ...], msgspec.Meta(max_length=16)] = ()


class RecipeProvenance(Document, frozen=True, kw_only=True):
    """Where the model came from; how the bundle was built is added by building it."""

    source: Text
    """Where the model came from, for people: an address, a package with its version, a training run."""
    licence: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """An SPDX expression."""
    supplier: Text | None = None
    """Who answers for the model."""
    training_config: SourcePath | None = None
    """The file with the settings it was trained with, whose SHA-256 is recorded; it does not come into the bundle."""
    training_config_sha256: Sha256 | None = None
    """The same where the file itself is not at hand."""


class Recipe(Document, frozen=True, kw_only=True):
    """A bundle to be built."""

    name: Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]
    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]
    variants: Annotated[tuple[RecipeVariant, ...], msgspec.Meta(min_length=1, max_length=64)]
    pipeline: Pipeline
    validation: RecipeValidation
    provenance: RecipeProvenance
    files: tuple[RecipeFile, ...] = ()
    signature: SourcePath | None = None
    """An OpenSSF model signature that came with the model; it is carried, and what devices trust stays TUF."""
    fallback: Annotated[tuple[Fallback, ...], msgspec.Meta(max_length=8)] = ()
    """What answers when the model cannot, the first that applies; a variant is named by its id in the bundle."""
    min_edged: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)] = FIRST_EDGED


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        UsageError: There is no such file.
        ManifestError: It is not TOML or does not follow the type; every problem is named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_RECIPE_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"cannot read the recipe {path}: {exc.strerror}") from exc
    if len(data) > MAX_RECIPE_BYTES:
        raise ManifestError(str(path), [Problem(pointer="", expected=f"expected at most {MAX_RECIPE_BYTES} bytes")])
    try:
        value = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:
        raise ManifestError(
            str(path), [Problem(pointer="", expected="expected a TOML document", found=str(exc))]
        ) from exc
    return convert(Recipe, value, source=str(path), error=ManifestError)
