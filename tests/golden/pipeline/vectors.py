"""Golden vectors of the pipeline's steps: what a step gave on the day it was published, as a file that anybody can read.

``tests/golden/pipeline/OP.json`` has the cases of one step (``softmax@1.json``), in the form of ``Vectors`` below. It is for two readers:
the test that holds every step to its old answers, and whoever writes the step again in another language.

The cases come from the modules beside this one, one for each module of ``edged.pipeline.steps`` and of the same name, each of which
exports ``CASES``, and ``TOLERANCES`` where a step may differ a little between machines. ``renew`` writes the files.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from edged.codec import Document, decode_json
from edged.pipeline.kernels import Array, Arrays
from edged.pipeline.spec import Datatype, TensorSpec
from edged.pipeline.steps import Step
from edged.worker.arrays import NUMPY, datatype_of

FOLDER = Path(__file__).parent

Value = bool | int | float | str | dict[str, str]
"""A number as it is, with ``"NaN"``, ``"Infinity"`` and ``"-Infinity"`` for those that JSON has not. Of BYTES, text (UTF-8) as it is,
and any other bytes as ``{"base64": ...}``."""
NOT_IN_JSON = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


class Tolerance(Document, frozen=True, kw_only=True):
    """By how much a float may differ: ``absolute + relative * abs(golden)``. Integers and BYTES never differ, nor does NaN."""

    absolute: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    relative: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class Values(Document, frozen=True, kw_only=True):
    """A tensor: its elements in row-major order."""

    dtype: Datatype
    shape: tuple[int, ...]
    values: tuple[Value, ...]


class Case(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a step gives for some tensors."""

    name: str
    """What is special about it."""
    step: Step
    types: tuple[TensorSpec, ...] = ()
    """Those of the inputs where the manifest leaves axes open; by default each is of exactly its own shape."""
    files: dict[str, Value] = msgspec.field(default_factory=dict)
    """The bundle's files that the step names, by path; written like elements of BYTES."""
    inputs: dict[str, Values]
    outputs: dict[str, Values] = msgspec.field(default_factory=dict)


class Vectors(Document, frozen=True, kw_only=True):
    """A file of golden vectors."""

    op: str
    tolerance: Tolerance
    cases: tuple[Case, ...]


def case(
    name: str,
    step: Step,
    inputs: Mapping[str, Array],
    *,
    files: Mapping[str, bytes] | None = None,
    types: tuple[TensorSpec, ...] = (),
) -> Case:
    """Return a case whose outputs are not known yet."""
    return Case(
        name=name,
        # As a document has it: with the bounds of each key checked, and whole numbers as floats where they are floats.
        step=msgspec.convert(msgspec.to_builtins(step), Step),
        types=types,
        files={path: _value(data) for path, data in (files or {}).items()},
        inputs={key: written(array) for key, array in inputs.items()},
    )


def texts(*elements: bytes) -> Array:
    """Return BYTES [n]."""
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def written(array: Array) -> Values:
    """Return an array as it is written down."""
    elements = (_value(element) for element in array.ravel().tolist())
    return Values(dtype=datatype_of(array), shape=array.shape, values=tuple(elements))


def read(tensor: Values) -> Array:
    """Return what was written down; as read-only as what a request brings may be."""
    if tensor.dtype == "BYTES":
        array: Array = texts(*map(_bytes, tensor.values))
    else:
        numbers = [NOT_IN_JSON[value] if isinstance(value, str) else value for value in tensor.values]
        array = np.array(numbers, dtype=NUMPY[tensor.dtype])
    array = array.reshape(tensor.shape)
    array.flags.writeable = False
    return array


def inputs_of(made: Case) -> Arrays:
    """Return a case's inputs."""
    return {name: read(tensor) for name, tensor in made.inputs.items()}


def files_of(made: Case) -> dict[str, bytes]:
    """Return a case's files."""
    return {path: _bytes(value) for path, value in made.files.items()}


def types_of(made: Case) -> dict[str, TensorSpec]:
    """Return the types of a case's inputs."""
    exact = {
        name: TensorSpec(name=name, dtype=tensor.dtype, shape=tensor.shape) for name, tensor in made.inputs.items()
    }
    return exact | {spec.name: spec for spec in made.types}


def path_of(op: str) -> Path:
    """Return where a step's vectors are."""
    return FOLDER / f"{op}.json"


def load(op: str) -> Vectors:
    """Read a step's vectors.

    Raises:
        FileNotFoundError: It has none.
    """
    path = path_of(op)
    return decode_json(Vectors, path.read_bytes(), source=path.name)


def _value(element: object) -> Value:
    if isinstance(element, bytes | memoryview):
        data = bytes(element)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(data).decode()}
    if isinstance(element, float) and not np.isfinite(element):
        return "NaN" if np.isnan(element) else "Infinity" if element > 0 else "-Infinity"
    assert isinstance(element, bool | int | float), element
    return element


def _bytes(value: Value) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    assert isinstance(value, str), value
    return value.encode()
