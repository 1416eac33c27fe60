"""A request and its answer as an app has them, and as the Open Inference Protocol writes them. Pure; standard library and numpy only."""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edged.errors import EdgedError, TensorError

HEADER_LENGTH: Final = "inference-header-content-length"

DATATYPES: Final[Mapping[str, str]] = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""The protocol's names of numpy's types; arrays of objects are BYTES."""
_NUMPY: Final = {datatype: np.dtype(name).newbyteorder("<") for name, datatype in DATATYPES.items()}
_LENGTH: Final = struct.Struct("<I")

_WANTED_SCALE: Final = re.compile(r"(?:^|, )scale=(\d+\.\d+)$")

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is asked of a model."""

    inputs: Mapping[str, Array]
    outputs: Sequence[str] = ()
    """Names wanted; empty means all."""
    timeout_s: float | None = None
    """After which the answer is worth nothing; None leaves it to the server."""
    priority: int = 0
    """1 is the most urgent; 0 is no wish."""
    is_background: bool = False
    """Nobody waits for it: everything else goes first."""
    sequence: int | str = 0
    """Whose state to go on with; 0 is none."""
    is_start: bool = False
    is_end: bool = False
    may_cache: bool = True
    """It may be answered with what is known already, and its answer may be given again."""
    may_offload: bool = False
    """The caller agrees that the inputs may leave the device, for the model's cloud endpoint; its policy decides whether they do."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all inputs; those of BYTES elements are estimated by their number."""
        return sum(array.nbytes for array in self.inputs.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A model's answer. ``result["score"]`` is one of its outputs."""

    outputs: Mapping[str, Array]
    """Arrays by name; BYTES are arrays of objects, each ``bytes``. They may be read-only."""
    model: str
    version: str = ""
    variant: str = ""
    """Which build of the model answered."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    """Share of the full size at which the device made the model's input; 1 where it did not."""
    wanted_scale: float = 1.0
    """Share of the full size that the device's policy asks for: what an app should send that prepares the model's input itself."""

    @property
    def decision(self) -> str:
        """The rule that decided, and what it asked for (header Edged-Decision).

        Empty where a stand-in answered, and in a session, where ``Client.get("/edged/v1/decisions")`` tells.
        """
        return str(self.parameters.get("decision", ""))

    @property
    def is_offloaded(self) -> bool:
        """Whether the model's cloud endpoint answered, and not the device."""
        return self.parameters.get("offloaded") is True

    @property
    def is_cached(self) -> bool:
        """Whether the answer was known already, from a background request."""
        return self.parameters.get("cached") is True

    @property
    def had_features(self) -> bool:
        """Whether it was known already what the steps before the model make of the inputs, so that only the rest was run."""
        return self.parameters.get("features_cached") is True

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]


def to_array(name: str, value: ArrayLike | bytes | str) -> Array:
    """Return an input as an array that can travel.

    Lists of ``bytes`` or ``str`` become arrays of objects (BYTES); one ``bytes`` or ``str`` becomes such an array with one element.

    Raises:
        TensorError: Its type is none of the protocol's.
    """
    if isinstance(value, bytes | str):
        value = [value]
    array = np.asarray(value)
    if array.dtype.kind in "SU" or array.dtype == object:
        return _to_objects(name, value, array)
    if array.dtype.name not in DATATYPES:
        raise TensorError(f"Input {name!r} is an array of {array.dtype}, which has no datatype in the protocol.")
    return array


def to_data(array: Array) -> bytes | memoryview:
    """Return an array's bytes in the form of the binary tensor extension; no copy where it lies like that already."""
    if array.dtype == object:
        return b"".join(part for item in array.ravel().tolist() for part in (_LENGTH.pack(len(item)), item))
    flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1)
    return flat.view(np.uint8).data if flat.size else b""


def from_data(data: bytes | bytearray | memoryview, datatype: str, shape: Sequence[int]) -> Array:
    """Return the array that some bytes are; it shares their memory unless they are BYTES.

    Raises:
        EdgedError: They are none of that datatype and shape.
    """
    try:
        if datatype == "BYTES":
            return _objects(list(_elements(memoryview(data)))).reshape(shape)
        return np.frombuffer(data, dtype=_NUMPY[datatype]).reshape(shape)
    except (ValueError, KeyError, struct.error) as exc:
        raise EdgedError(f"The answer has a tensor that is no {datatype} of shape {list(shape)}: {exc}.") from exc


def write_body(call: Call) -> tuple[list[bytes | memoryview], int]:
    """Write a request's body; returns its parts, of which the first is the JSON, and the length of that."""
    parts: list[bytes | memoryview] = []
    inputs = []
    for name, array in call.inputs.items():
        data = to_data(array)
        parts.append(data)
        datatype = "BYTES" if array.dtype == object else DATATYPES[array.dtype.name]
        inputs.append(
            {
                "name": name,
                "shape": array.shape,
                "datatype": datatype,
                "parameters": {"binary_data_size": len(data)},
            }
        )
    parameters: dict[str, Any] = {"binary_data_output": True}
    if call.timeout_s is not None:
        parameters["timeout"] = max(1, round(call.timeout_s * 1e6))
    if call.priority:
        parameters["priority"] = call.priority
    if call.is_background:
        parameters["request_class"] = "background"
    if call.sequence:
        parameters["sequence_id"] = call.sequence
        parameters |= {"sequence_start": call.is_start, "sequence_end": call.is_end}
    if not call.may_cache:
        parameters["cache"] = False
    if call.may_offload:
        parameters["offload"] = True
    document: dict[str, Any] = {"inputs": inputs, "parameters": parameters}
    if call.outputs:
        document["outputs"] = [{"name": name} for name in call.outputs]
    text = json.dumps(document, separators=(",", ":")).encode()
    return [text, *parts], len(text)


def read_body(headers: Mapping[str, str], body: bytes) -> Result:
    """Read an answer's body.

    Args:
        headers: With names in lower case.
        body: All of it.

    Raises:
        EdgedError: It is no answer of this protocol.
    """
    try:
        length = int(headers.get(HEADER_LENGTH, len(body)))
        document = json.loads(body[:length])
        view = memoryview(body)[length:]
        outputs = {}
        for output in document["outputs"]:
            if "data" in output:
                array = _from_json(output)
            else:
                size = output["parameters"]["binary_data_size"]
                array = from_data(view[:size], output["datatype"], output["shape"])
                view = view[size:]
            outputs[output["name"]] = array
        parameters = document.get("parameters", {})
        return Result(
            outputs=outputs,
            model=document["model_name"],
            version=document.get("model_version", ""),
            variant=parameters.get("variant", ""),
            parameters=parameters,
            scale=float(parameters.get("scale", 1.0)),
            wanted_scale=_wanted_scale(str(parameters.get("decision", ""))),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise EdgedError(f"The answer is none of the Open Inference Protocol: {exc!r}.") from exc


def _wanted_scale(decision: str) -> float:
    found = _WANTED_SCALE.search(decision)
    return float(found[1]) if found else 1.0


def _to_objects(name: str, value: ArrayLike, array: Array) -> Array:
    # numpy's own arrays of text have lost trailing zeros already; what was a list is read again, element by element.
    items = np.array(value, dtype=object) if isinstance(value, list | tuple) else array.astype(object)
    flat = []
    for item in items.ravel().tolist():
        if not isinstance(item, bytes | str):
            raise TensorError(
                f"Input {name!r} has an element of {type(item).__name__}; BYTES are made of bytes or str."
            )
        flat.append(item.encode() if isinstance(item, str) else item)
    return _objects(flat).reshape(items.shape)


def _objects(items: Sequence[bytes]) -> Array:
    # Element by element: numpy would turn a list of bytes into text of one width.
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def _elements(view: memoryview) -> Sequence[bytes]:
    items = []
    at = 0
    while at < len(view):
        (length,) = _LENGTH.unpack_from(view, at)
        at += _LENGTH.size
        if at + length > len(view):
            raise ValueError(f"an element of {length} bytes where {len(view) - at} are left")
        items.append(bytes(view[at : at + length]))
        at += length
    return items


def _from_json(output: Mapping[str, Any]) -> Array:
    if output["datatype"] == "BYTES":
        return _objects([item.encode() for item in output["data"]]).reshape(output["shape"])
    return np.array(output["data"], dtype=_NUMPY[output["datatype"]]).reshape(output["shape"])
