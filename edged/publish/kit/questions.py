"""The samples that a kit is made of, read from a directory: one a file, as requests and as the kit will write them down.

A file is sent whole where the pipeline takes one (BYTES [1]); otherwise it is a NumPy archive with an array for each of the inputs.
"""

import re
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import numpy as np

from edged.bundle.kit import KIT_NAME, Sample, SampleInput, mistake_in_inputs
from edged.errors import BundleError, UsageError
from edged.files import read_limited
from edged.pipeline.datatypes import pack_bytes
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor
from edged.validation.samples import MAX_SAMPLE_BYTES
from edged.worker.arrays import to_tensor

SAMPLES: Final = "samples"
"""Where a kit has the files of its samples, unless they lie in it already."""
_NAME: Final = re.compile(r"[A-Za-z0-9._+-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One sample: a request, and how the kit writes it down."""

    name: str
    tensors: Sequence[Tensor]
    input: str | None = None
    """Path in the kit of the file that is sent whole."""
    inputs: tuple[SampleInput, ...] = ()
    files: Mapping[str, bytes]
    """What the kit has to get, by path; nothing where the sample lies in it already."""


def read_questions(
    samples: Path, out: Path, specs: Sequence[TensorSpec], *, without: Collection[Path] = ()
) -> list[Question]:
    """Read the samples in a directory, sorted by name; what begins with a dot, other directories and a kit's document are none.

    Args:
        samples: The directory.
        out: The kit's directory; samples in it are not copied.
        specs: The pipeline's inputs.
        without: Files that are no samples, either.

    Raises:
        UsageError: There are none.
        BundleError: One is no request for this pipeline, or cannot have its name in a bundle.
    """
    files = sorted(path for path in _listed(samples) if path.is_file() and not path.name.startswith("."))
    others = {path.resolve() for path in without}
    files = [path for path in files if path.name != KIT_NAME and path.resolve() not in others]
    if not files:
        raise UsageError(f"there are no samples in {samples}", hint="Put 10 to 50 files there, one a sample.")
    _check_names(files)
    is_file = len(specs) == 1 and specs[0].dtype == "BYTES" and specs[0].shape in {(1,), (-1,)}
    questions = [_of_file(path, out, specs[0]) if is_file else _of_archive(path, specs) for path in files]
    for question, path in zip(questions, files, strict=True):
        sample = Sample(name=question.name, input=question.input, inputs=question.inputs, golden=())
        if reason := mistake_in_inputs(sample, specs):
            raise BundleError(f"{path} {reason}")
    return questions


def path_of(directory: str, sample: str, tensor: str) -> str:
    """Return where a kit has the values of a sample's tensor, whose name may have characters that no path of a bundle has."""
    return f"{directory}/{sample}.{quote(tensor, safe='').replace('%', '+').replace('~', '+7E')}"


def _check_names(files: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        if not _NAME.fullmatch(path.name):
            raise BundleError(
                f"{path} cannot have this name in a bundle", hint="Use letters of ASCII, digits and any of . _ + -"
            )
        if (other := seen.setdefault(path.stem, path)) is not path:
            raise BundleError(f"{path} and {other} would be one sample, {path.stem}", hint="Rename one of them.")


def _listed(directory: Path) -> Iterator[Path]:
    try:
        yield from directory.iterdir()
    except OSError as exc:
        raise UsageError(f"cannot read the samples in {directory}: {exc.strerror}") from exc


def _of_file(path: Path, out: Path, spec: TensorSpec) -> Question:
    data = _read(path)
    tensor = Tensor(name=spec.name, dtype="BYTES", shape=(1,), data=pack_bytes([data]))
    if path.resolve().is_relative_to(out.resolve()):
        return Question(
            name=path.stem, tensors=[tensor], input=str(path.resolve().relative_to(out.resolve())), files={}
        )
    kept = f"{SAMPLES}/{path.name}"
    return Question(name=path.stem, tensors=[tensor], input=kept, files={kept: data})


def _of_archive(path: Path, specs: Sequence[TensorSpec]) -> Question:
    hint = f"Save it with numpy.savez, with an array for each input: {', '.join(f'{s.name} ({s})' for s in specs)}."
    try:
        # Pickles, which could run code, are refused.
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as exc:
        raise BundleError(f"{path} is not a NumPy archive: {exc}", hint=hint) from exc
    known = {spec.name: spec for spec in specs}
    if arrays.keys() != known.keys():
        raise BundleError(f"{path} has the arrays {', '.join(sorted(arrays)) or 'of none'}", hint=hint)
    tensors = [to_tensor(name, array) for name, array in arrays.items()]
    if other := [t for t in tensors if t.dtype != known[t.name].dtype]:
        raise BundleError(f"{path}: {other[0].name} is {other[0].dtype}", hint=hint)
    files = {path_of(SAMPLES, path.stem, tensor.name): bytes(tensor.data) for tensor in tensors}
    inputs = tuple(
        SampleInput(name=tensor.name, shape=tensor.shape, file=kept)
        for tensor, kept in zip(tensors, files, strict=True)
    )
    return Question(name=path.stem, tensors=tensors, inputs=inputs, files=files)


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, max_bytes=MAX_SAMPLE_BYTES)
    except OSError as exc:
        raise UsageError(f"cannot read the sample {path}: {exc.strerror}") from exc
