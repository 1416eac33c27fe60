"""What describing a model gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Role
from edged.errors import BundleError
from edged.pipeline.spec import TensorSpec

MAX_HEAD_BYTES: Final = 1 << 30
"""Largest file that is read whole to find its tensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file of a model."""

    source: Path
    name: str
    """What follows the variant's id in the bundle: a suffix (``.onnx``) where it is one file or two, a path below it where it is many."""
    role: Role
    """``model`` for the one that the runtime is given, ``weights`` for the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A model on disk."""

    files: tuple[ModelFile, ...]
    """The one with role ``model`` first."""
    inputs: tuple[TensorSpec, ...] | None
    """None where the files do not say: the recipe has to."""
    outputs: tuple[TensorSpec, ...] | None


def not_a(kind: str, path: Path, why: str) -> BundleError:
    """Return the error of a file that is not what it is said to be."""
    return BundleError(f"{path} is not {kind}: {why}", hint="Check the variant's format and model in the recipe.")
