"""Sets of inputs, with the truth where it is known: what calibration and evaluation run on.

A set is either a NumPy archive (``.npz``), whose arrays are named as the model's inputs and have one row a sample, with the truth of an
output as ``truth.OUTPUT``; or a validation kit, whose samples go through the steps before the model.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edged.bundle.kit import Kit, mistake_in_inputs
from edged.bundle.manifest import Ingredient
from edged.codec import decode_json
from edged.errors import BundleError, ManifestError, UsageError
from edged.files import hash_file, read_limited
from edged.pipeline.kernels import Array, Stage
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import fits
from edged.validation.samples import MAX_KIT_BYTES, read_sample
from edged.worker.arrays import datatype_of, to_array

TRUTH: Final = "truth."


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sample."""

    feed: Mapping[str, Array]
    """The model's inputs, for one run."""
    borrowed: Mapping[str, Array]
    """What steps after the model read from before it."""
    truth: Mapping[str, Sequence[float | str]]
    """Flat values, by output of the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A set of samples, and what it was read from."""

    rows: Sequence[Row]
    ingredients: tuple[Ingredient, ...]

    def with_truth(self, output: str) -> list[Row]:
        """Return the rows for which the truth of an output is known."""
        return [row for row in self.rows if output in row.truth]


def read_rows(path: Path, pipeline: Pipeline, pre: Stage, inputs: Sequence[TensorSpec]) -> Rows:
    """Read a set.

    Args:
        path: An ``.npz`` file, a kit document, or the directory with ``kit.json`` in it.
        pipeline: Of the recipe.
        pre: Its steps before the model, prepared.
        inputs: The model's.

    Raises:
        UsageError: There is nothing there.
        BundleError: It is no set for this model.
        ManifestError: The kit is not a kit.
    """
    document = path / "kit.json" if path.is_dir() else path
    if not document.is_file():
        raise UsageError(f"there is no set of samples at {document}", hint="Name an .npz file or a validation kit.")
    if document.suffix == ".npz":
        return _read_archive(document, inputs)
    return _read_kit(document, pipeline, pre, inputs)


def _read_archive(path: Path, inputs: Sequence[TensorSpec]) -> Rows:
    hint = f"Save it with numpy.savez, with arrays {', '.join(spec.name for spec in inputs)} of one row a sample."
    try:
        # Pickles, which could run code, are refused.
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{path} is not a NumPy archive: {exc}", hint=hint) from exc
    if missing := [spec.name for spec in inputs if spec.name not in arrays]:
        raise BundleError(f"{path} has no array {', '.join(missing)}, which the model takes", hint=hint)
    used = {name: array for name, array in arrays.items() if name.startswith(TRUTH)}
    used |= {spec.name: arrays[spec.name] for spec in inputs}
    lengths = {name: len(array) if array.ndim else 0 for name, array in used.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        found = ", ".join(f"{name} {length}" for name, length in sorted(lengths.items()))
        raise BundleError(f"{path}: expected one number of rows in all arrays, got {found}", hint=hint)
    rows = []
    for i in range(len(used[inputs[0].name])):
        feed = {spec.name: np.ascontiguousarray(arrays[spec.name][i : i + 1]) for spec in inputs}
        truth = {name.removeprefix(TRUTH): _flat(array[i]) for name, array in used.items() if name.startswith(TRUTH)}
        rows.append(Row(feed=feed, borrowed={}, truth=truth))
    _check_feed(path, rows[0].feed, inputs)
    return Rows(rows=rows, ingredients=(_ingredient(path),))


def _read_kit(path: Path, pipeline: Pipeline, pre: Stage, inputs: Sequence[TensorSpec]) -> Rows:
    kit = decode_json(Kit, read_limited(path, max_bytes=MAX_KIT_BYTES), source=str(path), error=ManifestError)
    rows = []
    for sample in kit.samples:
        if reason := mistake_in_inputs(sample, pipeline.inputs):
            raise BundleError(f"{path}: {sample.name} {reason}")
        arrays = pre.run(
            {tensor.name: to_array(tensor) for tensor in read_sample(path.parent, pipeline.inputs, sample)}
        )
        if missing := [spec.name for spec in inputs if spec.name not in arrays]:
            raise BundleError(f"{path}: the steps before the model do not make {', '.join(missing)}")
        feed = {spec.name: arrays[spec.name] for spec in inputs}
        _check_feed(path, feed, inputs)
        truth = {item.name: item.data for item in sample.truth}
        rows.append(
            Row(feed=feed, borrowed={name: arrays[name] for name in pipeline.borrowed if name in arrays}, truth=truth)
        )
    files = sorted({path.parent / file for sample in kit.samples for file in sample.files})
    return Rows(rows=rows, ingredients=(_ingredient(path), *map(_ingredient, files)))


def _check_feed(path: Path, feed: Mapping[str, Array], inputs: Sequence[TensorSpec]) -> None:
    for spec in inputs:
        array = feed[spec.name]
        if datatype_of(array) != spec.dtype or not fits(array.shape, spec.shape):
            raise BundleError(
                f"{path}: a row of {spec.name} is {datatype_of(array)} {list(array.shape)}, the model takes {spec}",
                hint="Rows are cut from the first axis, which stays with length 1.",
            )


def _flat(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> list[float | str]:
    values: list[float | str] = np.asarray(array).reshape(-1).tolist()
    return values


def _ingredient(path: Path) -> Ingredient:
    digest, _ = hash_file(path)
    return Ingredient(name=path.name, sha256=digest)
