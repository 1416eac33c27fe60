"""Read the tensors of an OpenVINO model: an XML document that describes the graph, and a file of weights beside it."""

from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ParseError, fromstring

from edged.errors import BundleError
from edged.files import read_limited
from edged.pipeline.spec import Datatype, TensorSpec
from edged.publish.formats.described import Described, ModelFile, not_a

_KIND: Final = "an OpenVINO model"
_MAX_XML_BYTES: Final = 64 << 20
_SAME: Final[tuple[Datatype, ...]] = ("FP16", "FP32", "FP64", "BOOL")
_NUMBERS: Final[tuple[Datatype, ...]] = (
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
)
_DATATYPES: Final[dict[str, Datatype]] = {
    **{name: name for name in (*_SAME, *_NUMBERS)},
    **{name.replace("INT", "I" if name.startswith("I") else "", 1): name for name in _NUMBERS},  # I64, U8
    "BOOLEAN": "BOOL",
    "STRING": "BYTES",
}


def describe_openvino(path: Path) -> Described:
    """Describe an ``.xml`` and its ``.bin``.

    Raises:
        BundleError: It is not one, or the weights are missing.
        OSError: It cannot be read.
    """
    weights = path.with_suffix(".bin")
    data = read_limited(path, max_bytes=_MAX_XML_BYTES)
    if not weights.is_file():
        raise BundleError(f"{path} has no {weights.name} beside it", hint="An OpenVINO model is both files; copy both.")
    net = _parse(data, path)
    layers = {layer.get("id", ""): layer for layer in net.iterfind("layers/layer")}
    sources = {
        edge.get("to-layer", ""): (edge.get("from-layer", ""), edge.get("from-port", ""))
        for edge in net.iterfind("edges/edge")
    }
    inputs, outputs = [], []
    for number, layer in layers.items():
        match layer.get("type"):
            case "Parameter":
                inputs.append(_spec(layer, layer.find("output/port"), path))
            case "Result":
                giver, port = sources.get(number, ("", ""))
                if giver not in layers:
                    raise not_a(_KIND, path, f"nothing leads to the result {layer.get('name')}")
                outputs.append(_spec(layers[giver], layers[giver].find(f"output/port[@id='{port}']"), path))
            case _:
                pass
    files = (
        ModelFile(source=path, name=".xml", role="model"),
        ModelFile(source=weights, name=".bin", role="weights"),
    )
    return Described(files=files, inputs=tuple(inputs), outputs=tuple(outputs))


def _parse(data: bytes, path: Path) -> Element:
    # Entities, with which a small document can become a large one, have no place in a model.
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise not_a(_KIND, path, "it declares a document type")
    try:
        net = fromstring(data)  # noqa: S314 - what is dangerous about it was refused above
    except ParseError as exc:
        raise not_a(_KIND, path, str(exc)) from exc
    if net.tag != "net":
        raise not_a(_KIND, path, f"it is <{net.tag}>, not <net>")
    return net


def _spec(layer: Element, port: Element | None, path: Path) -> TensorSpec:
    name = layer.get("name", "")
    if port is None:
        raise not_a(_KIND, path, f"layer {name} has no output")
    dtype = _DATATYPES.get(port.get("precision", ""))
    if dtype is None:
        found = port.get("precision")
        raise not_a("a model that apps can use", path, f"{name} has type {found}, which they cannot send")
    # The first of a port's names is what the tensor was called in the model this one was made from.
    names = port.get("names", "").split(",")
    try:
        shape = tuple(int(axis.text or "") for axis in port.iterfind("dim"))
    except ValueError as exc:
        raise not_a(_KIND, path, f"layer {name} has an axis that is no number") from exc
    return TensorSpec(name=names[0] or name, dtype=dtype, shape=tuple(max(axis, -1) for axis in shape))
