"""Looks through an ONNX model before a runtime sees it, and refuses what no model may ask of a device.

Runtimes follow references out of a model (ONNX Runtime up to 1.21 reads any file an ``external_data`` entry names) and trust its
sizes. The rules, in the order they are met:

1. The bytes are ONNX, not ONNX Runtime's own format, which would pass by all of this.
2. Every message is well formed and every field is one this check knows; singular fields come once, because parsers merge copies.
3. No tensor has external data or a place other than the file: initializers, sparse ones, attributes, subgraphs, functions, training.
4. Operators come from ``ai.onnx`` and ``ai.onnx.ml``, or are functions of the model itself. ``com.microsoft`` is not among them: it
   has operators that name files (``EPContext``), and its kernels are not part of the standard that models are exchanged in. Only
   nodes are judged: ONNX Runtime's own tools write imports of domains that no node uses, and an import alone does nothing.
5. A tensor has the data its shape claims, so that a few bytes cannot ask for gigabytes.
6. Functions do not call themselves, and the graph stays below the node limit with all of them written out.

One pass over the bytes, no copies of tensors, nesting bounded by ``MAX_DEPTH``. What a model allocates while it runs is bounded by the
worker's memory limit, not here.
"""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

from edged.errors import UnsafeModelError
from edged.onnx import schema
from edged.onnx.functions import FunctionName, Functions
from edged.onnx.protobuf import Field, GarbledError, WireType, read_fields, read_varint

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
# A function of the model may not take a name under which runtimes have operators of their own.
RESERVED_PREFIXES: Final = ("ai.onnx", "com.microsoft", "com.ms.", "com.xilinx", "org.pytorch")

MAX_MODEL_BYTES: Final = 2**31 - 1
"""The most a protobuf message can have."""
MAX_DEPTH: Final = 48
"""Messages within messages; fourteen graphs within graphs. Parsers stop at 100."""
MAX_FIELDS: Final = 1 << 22
MAX_NODES: Final = 100_000
MAX_FUNCTIONS: Final = 10_000
MAX_RANK: Final = 16
MAX_SPARSE_ELEMENTS: Final = 1 << 28
# Two-bit integers put four elements into a byte; nothing puts more than eight.
MAX_ELEMENTS_PER_BYTE: Final = 8

_ORT_FORMAT: Final = b"ORTM"
_PAYLOAD: Final = frozenset(
    {"raw_data", "float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data"}
)


def check_model(model: bytes) -> None:
    """Look through a model file.

    Raises:
        UnsafeModelError: With the place in the graph and what the publisher can do.
    """
    if len(model) > MAX_MODEL_BYTES:
        raise UnsafeModelError(
            f"the model has {len(model)} bytes, more than an ONNX file can", hint="Split or quantize the model."
        )
    if model[4:8] == _ORT_FORMAT:
        raise UnsafeModelError(
            "the model is in ONNX Runtime's own format", hint="Publish the ONNX file it was made from."
        )
    _Walk(model).model()


class _Walk:
    """One pass over one model; counts as it goes."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._fields = 0
        self._nodes = 0
        self._functions = Functions()
        self._calls: Counter[FunctionName] = Counter()

    def model(self) -> None:
        graphs = 0
        for name, field in self._read(schema.MODEL, 0, len(self._model), 0, "model"):
            match name:
                case "graph":
                    graphs += 1
                    self._graph(field, 1, "graph")
                case "functions":
                    self._function(field, 1)
                case "training_info":
                    self._training(field, 1)
                case _:
                    pass
        if not graphs:
            raise UnsafeModelError("the model has no graph", hint="Publish a whole ONNX model.")
        self._functions.check(self._calls, nodes=self._nodes, max_nodes=MAX_NODES)

    def _read(self, known: schema.Schema, start: int, end: int, depth: int, where: str) -> Iterator[tuple[str, Field]]:
        """Go through a message's fields, each of which must be known, well formed and, where singular, alone."""
        if depth > MAX_DEPTH:
            raise UnsafeModelError(
                f"{where}: nested deeper than {MAX_DEPTH} messages", hint="Flatten the model's subgraphs."
            )
        seen = set()
        fields = read_fields(self._model, start, end)
        while True:
            try:
                field = next(fields)
            except StopIteration:
                return
            except GarbledError as exc:
                raise UnsafeModelError(
                    f"{where}: {exc}", hint="The file is damaged or is not ONNX; export it again."
                ) from exc
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise UnsafeModelError(
                    f"{where}: more than {MAX_FIELDS} fields up to here", hint="Store large tensors as raw data."
                )
            entry = known.get(field.number)
            if entry is None or field.wire not in entry.wires:
                raise UnsafeModelError(
                    f"{where}: field {field.number} with wire type {field.wire} is not of any ONNX version edged knows",
                    hint="Export the model with an older ONNX version, or update edged.",
                )
            if not entry.is_repeated:
                if field.number in seen:
                    raise UnsafeModelError(f"{where}: {entry.name} comes twice", hint="Export the model again.")
                seen.add(field.number)
            yield entry.name, field

    def _graph(self, graph: Field, depth: int, where: str) -> None:
        self._body(schema.GRAPH, graph, depth, where)

    def _body(self, known: schema.Schema, body: Field, depth: int, where: str) -> None:
        """Walk what graphs and functions have in common: nodes, and tensors beside them."""
        counts: Counter[str] = Counter()
        for name, field in self._read(known, body.start, body.end, depth, where):
            place = f"{where}, {name} {counts[name]}"
            counts[name] += 1
            match name:
                case "node":
                    self._node(field, depth + 1, place)
                case "initializer":
                    self._tensor(field, depth + 1, place)
                case "sparse_initializer":
                    self._sparse(field, depth + 1, place)
                case "attribute_proto":
                    self._attribute(field, depth + 1, place)
                case _:
                    pass

    def _node(self, node: Field, depth: int, where: str) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnsafeModelError(f"{where}: more than {MAX_NODES} nodes up to here", hint="Simplify the model.")
        texts = {"op_type": "", "domain": "", "name": ""}
        attributes = []
        for name, field in self._read(schema.NODE, node.start, node.end, depth, where):
            if name in texts:
                texts[name] = self._text(field)
            elif name == "attribute":
                attributes.append(field)
        where = f"{where} ({_shown(texts['op_type'])} {_shown(texts['name'])})"
        domain = texts["domain"]
        if domain not in DOMAINS:
            if _is_reserved(domain):
                raise UnsafeModelError(
                    f"{where}: operators of domain {_shown(domain)!r} are not allowed",
                    hint="Export the model with standard ONNX operators only.",
                )
            self._functions.call((domain, texts["op_type"]), where)
            self._calls[domain, texts["op_type"]] += 1
        for field in attributes:
            self._attribute(field, depth + 1, where)

    def _attribute(self, attribute: Field, depth: int, where: str) -> None:
        where = f"{where}, attribute"
        for name, field in self._read(schema.ATTRIBUTE, attribute.start, attribute.end, depth, where):
            match name:
                case "name":
                    where = f"{where} {_shown(self._text(field))}"
                case "t" | "tensors":
                    self._tensor(field, depth + 1, where)
                case "sparse_tensor" | "sparse_tensors":
                    self._sparse(field, depth + 1, where)
                case "g" | "graphs":
                    self._graph(field, depth + 1, f"{where}, graph")
                case _:
                    pass

    def _tensor(self, tensor: Field, depth: int, where: str) -> None:
        dims: list[int] = []
        payload = 0
        for name, field in self._read(schema.TENSOR, tensor.start, tensor.end, depth, where):
            if name == "name":
                where = f"{where} ({_shown(self._text(field))})"
            elif name == "external_data" or (name == "data_location" and field.value != 0):
                raise UnsafeModelError(
                    f"{where}: its data is outside the model file",
                    hint="Save the model with all tensors inside (onnx.save with save_as_external_data=False).",
                )
            elif name == "dims":
                self._dims(field, dims, where)
            elif name in _PAYLOAD:
                payload += field.end - field.start
                # An empty text is an element too; its length byte is outside the field's value.
                payload += name == "string_data"
        if (elements := math.prod(dims)) > MAX_ELEMENTS_PER_BYTE * payload:
            raise UnsafeModelError(
                f"{where}: its shape has {elements} elements, its data {payload} bytes", hint="Export the model again."
            )

    def _sparse(self, sparse: Field, depth: int, where: str) -> None:
        dims: list[int] = []
        for name, field in self._read(schema.SPARSE, sparse.start, sparse.end, depth, where):
            if name == "dims":
                self._dims(field, dims, where)
            else:
                self._tensor(field, depth + 1, f"{where}, {name}")
        # Runtimes write sparse tensors out in full.
        if (elements := math.prod(dims)) > MAX_SPARSE_ELEMENTS:
            raise UnsafeModelError(
                f"{where}: {elements} elements when written out, at most {MAX_SPARSE_ELEMENTS} are allowed",
                hint="Shrink the tensor.",
            )

    def _dims(self, field: Field, dims: list[int], where: str) -> None:
        if field.wire is WireType.VARINT:
            dims.append(field.value)
        at = field.start
        while field.wire is WireType.LENGTH and at < field.end and len(dims) <= MAX_RANK:
            try:
                value, at = read_varint(self._model, at, field.end)
            except GarbledError as exc:
                raise UnsafeModelError(f"{where}: {exc}", hint="The file is damaged; export it again.") from exc
            dims.append(value)
        if len(dims) > MAX_RANK or any(dim >= 1 << 63 for dim in dims):
            raise UnsafeModelError(
                f"{where}: a shape with a negative size or more than {MAX_RANK} axes", hint="Export it again."
            )

    def _function(self, function: Field, depth: int) -> None:
        texts = {"name": "", "domain": "", "overload": ""}
        where = f"function {self._functions.count}"
        for name, field in self._read(schema.FUNCTION, function.start, function.end, depth, where):
            if name in texts:
                texts[name] = self._text(field)
        where = f"function {_shown(texts['domain'])}.{_shown(texts['name'])}"
        if self._functions.count >= MAX_FUNCTIONS:
            raise UnsafeModelError(
                f"{where}: more than {MAX_FUNCTIONS} functions", hint="Inline the model's functions."
            )
        if texts["domain"] in DOMAINS or _is_reserved(texts["domain"]):
            raise UnsafeModelError(
                f"{where}: a model may not define operators in this domain",
                hint="Give the function a domain of its own, or inline it.",
            )
        before, outer = self._nodes, self._calls
        self._calls = Counter()
        self._body(schema.FUNCTION, function, depth, where)
        self._functions.define(
            (texts["domain"], texts["name"]), texts["overload"], self._nodes - before, self._calls, where
        )
        self._calls = outer

    def _training(self, training: Field, depth: int) -> None:
        for name, field in self._read(schema.TRAINING, training.start, training.end, depth, "training_info"):
            if name in {"initialization", "algorithm"}:
                self._graph(field, depth + 1, f"training_info, {name}")

    def _text(self, field: Field) -> str:
        return self._model[field.start : field.end].decode("utf-8", "backslashreplace")


def _is_reserved(domain: str) -> bool:
    return domain.startswith(RESERVED_PREFIXES)


def _shown(text: str, limit: int = 60) -> str:
    # Places are built for every node, so a name of megabytes must not be copied into each.
    return text if len(text) <= limit else text[:limit] + "..."
