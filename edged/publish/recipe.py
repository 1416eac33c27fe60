"""What a publisher writes to have a bundle built: a TOML recipe as types.

A recipe says what cannot be read from the files themselves. Paths of files are relative to the recipe; paths inside the bundle follow
from the kind of file (``models/<variant id>.onnx``, ``kit/...``) or are given. Variant ids, digests, sizes, and the tensors of the model
are worked out by ``edged.publish.build``.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from edged.bundle.manifest import (
    Batching,
    Budget,
    BundlePath,
    Fallback,
    Provenance,
    Runtime,
    Session,
    State,
    Targets,
    Tier,
    Tolerance,
)
from edged.codec import Document, convert
from edged.errors import ManifestError, Problem, UsageError
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN
from edged.pipeline.pipeline import Pipeline

FIRST_EDGED: Final = "0.1.0"
"""The first edged that reads manifests of schema 1; a bundle that uses nothing newer needs no newer edged."""

MAX_RECIPE_BYTES: Final = 1 << 20
SourcePath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class RecipeVariant(Document, frozen=True, kw_only=True):
    """One build of the model. Its id is NAME-VERSION-PRECISION-ARCH, with ``any`` for more than one architecture."""

    model: SourcePath
    tier: Tier
    precision: Literal["fp32", "fp16", "int8"]
    targets: Targets
    budget: Budget
    format: Literal["onnx"] = "onnx"
    runtime: Runtime = Runtime(name="onnxruntime", version=">=1.20,<2")
    session: Session = Session()
    batching: Batching | None = None
    state: tuple[State, ...] = ()

    @property
    def arch(self) -> str:
        """The last part of the variant's id."""
        return self.targets.arch[0] if len(self.targets.arch) == 1 else "any"


class RecipeFile(Document, frozen=True, kw_only=True):
    """A file that all variants share."""

    source: SourcePath
    path: BundlePath
    role: Literal["labels", "licence", "document"]


class RecipeValidation(Document, frozen=True, kw_only=True):
    """The validation kit: ``kit`` is its JSON document or the directory with ``kit.json`` in it.

    The ``input`` of each sample is relative to that document; in the bundle both lie below ``kit/``.
    """

    kit: SourcePath
    tolerance: Annotated[tuple[Tolerance, ...], msgspec.Meta(min_length=1)]


class Recipe(Document, frozen=True, kw_only=True):
    """A bundle to be built."""

    name: Annotated[str, msgspec.Meta(pattern=MODEL_NAME_PATTERN)]
    version: Annotated[str, msgspec.Meta(pattern=VERSION_PATTERN, max_length=64)]
    variants: Annotated[tuple[RecipeVariant, ...], msgspec.Meta(min_length=1, max_length=64)]
    pipeline: Pipeline
    validation: RecipeValidation
    provenance: Provenance
    files: tuple[RecipeFile, ...] = ()
    fallback: tuple[Fallback, ...] = ()
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
