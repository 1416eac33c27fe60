"""Looks through an ONNX model before a runtime sees it, and refuses what no model may ask of a device.

Runtimes follow references out of a model (ONNX Runtime up to 1.21 reads any file an ``external_data`` entry names) and trust its
sizes. The rules, in the order they are met:

1. The bytes are ONNX, not ONNX Runtime's own format, which would pass by all of this.
2. Every message is well formed and every field is one this check knows; singular fields come once, because parsers merge copies.
3. No tensor has external data or a place other than the file: initializers, sparse ones, attributes, subgraphs, functions, training.
4. Operators come from ``ai.onnx`` and ``ai.onnx.ml``, or are functions of the model itself. ``com.microsoft`` is not among them: it
   has operators that name files (``EPContext``), and its kernels are not part of the standard that models are exchanged in. Only
   nodes are judged: ONNX Runtime's own tools write imports of domains that no node uses, and an import alone does nothing.
5. A tensor has the data its type and shape claim, in one place (``edged.onnx.tensors``), so that a few bytes cannot ask for gigabytes.
6. Functions do not call themselves, and the graph stays below the node limit with all of them written out (``edged.onnx.functions``).
7. No nodes depend on each other in a circle, and no two write the same tensor (``edged.onnx.wiring``).
8. A domain's operators are imported in one version, so that all parsers mean the same operators.

One pass over the bytes, no copies of tensors, nesting bounded by ``MAX_DEPTH``. What a model allocates while it runs is bounded by the
worker's memory limit, not here.
"""

import math
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from edged.errors import UnsafeModelError
from edged.onnx import schema
from edged.onnx.functions import FunctionName, Functions
from edged.onnx.protobuf import Field, GarbledError, read_fields
from edged.onnx.tensors import Claim, read_dims, shape_problem
from edged.onnx.wiring import Wiring

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
MAX_SPARSE_ELEMENTS: Final = 1 << 28

_ORT_FORMAT: Final = b"ORTM"


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
        opsets: set[str] = set()
        for name, field in self._read(schema.MODEL, 0, len(self._model), 0, "model"):
            match name:
                case "graph":
                    graphs += 1
                    self._graph(field, 1, "graph")
                case "opset_import":
                    self._opset(field, 1, opsets, "model")
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
            entry = _entry(known, field, where)
            if not entry.is_repeated:
                if field.number in seen:
                    raise UnsafeModelError(f"{where}: {entry.name} comes twice", hint="Export the model again.")
                seen.add(field.number)
            if entry.plain:
                inner = self._read(schema.PLAIN[entry.plain], field.start, field.end, depth + 1, where)
                deque(inner, maxlen=0)
            yield entry.name, field

    def _graph(self, graph: Field, depth: int, where: str) -> frozenset[bytes]:
        """Walk a graph and return the tensors that it reads from the graphs around it."""
        return self._body(schema.GRAPH, graph, depth, where)

    def _body(self, known: schema.Schema, body: Field, depth: int, where: str) -> frozenset[bytes]:
        """Walk what graphs and functions have in common: nodes, and tensors beside them."""
        counts: Counter[str] = Counter()
        wiring = Wiring()
        for name, field in self._read(known, body.start, body.end, depth, where):
            place = f"{where}, {name} {counts[name]}"
            counts[name] += 1
            match name:
                case "node":
                    self._node(field, depth + 1, place, wiring)
                case "initializer":
                    wiring.give(self._tensor(field, depth + 1, place))
                case "sparse_initializer":
                    wiring.give(self._sparse(field, depth + 1, place))
                case "attribute_proto":
                    self._attribute(field, depth + 1, place)
                case "input":
                    # Of a function a name, of a graph a message that begins with one.
                    wiring.give(self._bytes(field) if known is schema.FUNCTION else self._name(field))
                case _:
                    pass
        return wiring.check(where)

    def _node(self, node: Field, depth: int, where: str, wiring: Wiring) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise UnsafeModelError(f"{where}: more than {MAX_NODES} nodes up to here", hint="Simplify the model.")
        texts = {"op_type": "", "domain": "", "name": ""}
        attributes = []
        reads: set[bytes] = set()
        writes: list[bytes] = []
        for name, field in self._read(schema.NODE, node.start, node.end, depth, where):
            if name in texts:
                texts[name] = self._text(field)
            elif name == "attribute":
                attributes.append(field)
            elif name == "input":
                reads.add(self._bytes(field))
            elif name == "output":
                writes.append(self._bytes(field))
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
            reads |= self._attribute(field, depth + 1, where)
        wiring.add(reads, writes, where)

    def _attribute(self, attribute: Field, depth: int, where: str) -> frozenset[bytes]:
        """Walk an attribute and return the tensors that graphs in it read from the graphs around them."""
        where = f"{where}, attribute"
        reads: frozenset[bytes] = frozenset()
        for name, field in self._read(schema.ATTRIBUTE, attribute.start, attribute.end, depth, where):
            match name:
                case "name":
                    where = f"{where} {_shown(self._text(field))}"
                case "t" | "tensors":
                    self._tensor(field, depth + 1, where)
                case "sparse_tensor" | "sparse_tensors":
                    self._sparse(field, depth + 1, where)
                case "g" | "graphs":
                    reads |= self._graph(field, depth + 1, f"{where}, graph")
                case _:
                    pass
        return reads

    def _tensor(self, tensor: Field, depth: int, where: str) -> bytes:
        """Walk a tensor and return its name."""
        claim = Claim()
        own_name = b""
        for name, field in self._read(schema.TENSOR, tensor.start, tensor.end, depth, where):
            if name == "name":
                own_name = self._bytes(field)
                where = f"{where} ({_shown(self._text(field))})"
            elif name == "external_data" or (name == "data_location" and field.value != 0):
                raise UnsafeModelError(
                    f"{where}: its data is outside the model file",
                    hint="Save the model with all tensors inside (onnx.save with save_as_external_data=False).",
                )
            else:
                claim.add(name, field, self._model)
        if problem := claim.problem():
            raise UnsafeModelError(f"{where}: {problem}", hint="Export the model again.")
        return own_name

    def _sparse(self, sparse: Field, depth: int, where: str) -> bytes:
        """Walk a sparse tensor and return its name, which is that of its values."""
        dims: list[int] = []
        own_name = b""
        for name, field in self._read(schema.SPARSE, sparse.start, sparse.end, depth, where):
            if name == "dims":
                read_dims(field, self._model, dims)
            else:
                part = self._tensor(field, depth + 1, f"{where}, {name}")
                own_name = part if name == "values" else own_name
        if problem := shape_problem(dims):
            raise UnsafeModelError(f"{where}: {problem}", hint="Export the model again.")
        # Runtimes write sparse tensors out in full.
        if (elements := math.prod(dims)) > MAX_SPARSE_ELEMENTS:
            raise UnsafeModelError(
                f"{where}: {elements} elements when written out, at most {MAX_SPARSE_ELEMENTS} are allowed",
                hint="Shrink the tensor.",
            )
        return own_name

    def _opset(self, opset: Field, depth: int, seen: set[str], where: str) -> None:
        domain = ""
        for name, field in self._read(schema.OPSET, opset.start, opset.end, depth, f"{where}, opset_import"):
            if name == "domain":
                domain = self._text(field)
        domain = "" if domain == "ai.onnx" else domain
        if domain in seen:
            raise UnsafeModelError(
                f"{where}: operators of domain {_shown(domain)!r} are imported twice", hint="Export the model again."
            )
        seen.add(domain)

    def _function(self, function: Field, depth: int) -> None:
        texts = {"name": "", "domain": "", "overload": ""}
        where = f"function {self._functions.count}"
        opsets: set[str] = set()
        for name, field in self._read(schema.FUNCTION, function.start, function.end, depth, where):
            if name in texts:
                texts[name] = self._text(field)
            elif name == "opset_import":
                self._opset(field, depth + 1, opsets, where)
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
        return self._bytes(field).decode("utf-8", "backslashreplace")

    def _bytes(self, field: Field) -> bytes:
        return self._model[field.start : field.end]

    def _name(self, message: Field) -> bytes:
        """Return the name of a value, whose message was walked already."""
        names = (field for field in read_fields(self._model, message.start, message.end) if field.number == 1)
        return self._bytes(next(names, message._replace(end=message.start)))


def _entry(known: schema.Schema, field: Field, where: str) -> schema.Known:
    entry = known.get(field.number)
    if entry is None or field.wire not in entry.wires:
        raise UnsafeModelError(
            f"{where}: field {field.number} with wire type {field.wire} is not of any ONNX version edged knows",
            hint="Export the model with an older ONNX version, or update edged.",
        )
    return entry


def _is_reserved(domain: str) -> bool:
    return domain.startswith(RESERVED_PREFIXES)


def _shown(text: str, limit: int = 60) -> str:
    # Places are built for every node, so a name of megabytes must not be copied into each.
    return text if len(text) <= limit else text[:limit] + "..."
