"""What is really so, of samples: read from a CSV or JSON document, in the form that a kit has it.

CSV has a head: ``sample``, then names of outputs; a row for each sample, an empty cell where the truth is not known. JSON is an object
of samples, each an object of outputs, each a value or a list of values: ``{"dial-01": {"angle": 17.2}}``. Samples are called as their
files are without the ending.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edged.bundle.kit import Golden, mistake
from edged.errors import BundleError, UsageError
from edged.files import read_limited
from edged.pipeline.datatypes import NUMBERS
from edged.pipeline.spec import Datatype

MAX_BYTES: Final = 64 << 20
Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Truths:
    """Values by sample and output, as they were written."""

    source: str = ""
    values: Mapping[str, Mapping[str, Sequence[Value]]] = field(default_factory=dict)

    def check(self, samples: Sequence[str]) -> None:
        """Make sure that everything is about a sample there is.

        Raises:
            BundleError: It is not.
        """
        if unknown := sorted(self.values.keys() - set(samples)):
            raise BundleError(
                f"{self.source}: there is no sample {', '.join(unknown[:3])}",
                hint="Samples are called as their files are, without the ending.",
            )

    def of(self, sample: str, outputs: Sequence[Golden]) -> tuple[Golden, ...]:
        """Return the truth of a sample, in the datatypes of what the model gives.

        Raises:
            BundleError: The model has no such output, or a value is none of its datatype.
        """
        known = {golden.name: golden for golden in outputs}
        found = []
        for name, values in self.values.get(sample, {}).items():
            where = f"{self.source}: {sample}: {name}"
            if name not in known:
                raise BundleError(f"{where}: the pipeline gives {', '.join(known)}")
            like = known[name]
            data = tuple(_value(value, like.dtype, where) for value in values)
            shape = like.shape if math.prod(like.shape) == len(data) else (len(data),)
            golden = Golden(name=name, dtype=like.dtype, shape=shape, data=data)
            if reason := mistake(golden, like.dtype):
                raise BundleError(f"{where} {reason}")
            found.append(golden)
        return tuple(found)


def read_truths(path: Path) -> Truths:
    """Read a document; its name says which kind it is.

    Raises:
        UsageError: It cannot be read, or is called neither ``.csv`` nor ``.json``.
        BundleError: It is not what its name says.
    """
    try:
        text = read_limited(path, max_bytes=MAX_BYTES).decode("utf-8-sig")
    except OSError as exc:
        raise UsageError(f"cannot read the truth in {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise BundleError(f"{path} is not UTF-8 text") from exc
    match path.suffix.lower():
        case ".csv":
            return Truths(str(path), _of_csv(text, path))
        case ".json":
            return Truths(str(path), _of_json(text, path))
        case _:
            raise UsageError(f"{path} is neither .csv nor .json", hint="Name it by what it is.")


def _of_csv(text: str, path: Path) -> Mapping[str, Mapping[str, Sequence[Value]]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as exc:
        raise BundleError(f"{path} is not CSV: {exc}") from exc
    if not rows or rows[0][0] != "sample" or len(rows[0]) < 2 or len(set(rows[0])) != len(rows[0]):
        raise BundleError(f"{path}: expected a first line with sample, then names of outputs, each once")
    names = rows[0][1:]
    values: dict[str, Mapping[str, Sequence[Value]]] = {}
    for sample, *cells in rows[1:]:
        if len(cells) != len(names):
            raise BundleError(f"{path}: {sample} has {len(cells)} values for {len(names)} outputs")
        if sample in values:
            raise BundleError(f"{path}: {sample} is there twice")
        values[sample] = {name: (cell,) for name, cell in zip(names, cells, strict=True) if cell}
    return values


def _of_json(text: str, path: Path) -> Mapping[str, Mapping[str, Sequence[Value]]]:
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise BundleError(f"{path} is not JSON: {exc}") from exc
    if not isinstance(document, dict) or not all(isinstance(outputs, dict) for outputs in document.values()):
        raise BundleError(f"{path}: expected an object of samples, each an object of outputs")
    values: dict[str, dict[str, Sequence[Value]]] = {}
    for sample, outputs in document.items():
        values[sample] = {}
        for name, value in outputs.items():
            items = value if isinstance(value, list) else [value]
            if not all(isinstance(item, Value) for item in items):
                raise BundleError(f"{path}: {sample}: {name}: expected a number, a text, or a list of these")
            values[sample][name] = items
    return values


def _value(value: Value, dtype: Datatype, where: str) -> Value:
    """Return a value in the type that a datatype has; CSV has texts only."""
    if dtype == "BYTES":
        return str(value)
    if not isinstance(value, str):
        return value
    try:
        return float(value) if NUMBERS[dtype].is_float else int(value)
    except ValueError as exc:
        raise BundleError(f"{where}: {value!r} is no {dtype}") from exc
