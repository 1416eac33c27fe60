"""Which of a model's inputs may be read where an app keeps them, in memory that the app can change while the model runs.

An app that rewrites its input during a run must hurt nobody's answer but its own. Arithmetic has no trouble with numbers that change
under it; addresses, counts and comparators have: an index checked against a bound and then used, a size computed twice, a sort whose
order is no order. So an input is read in place only if all of this holds, and is copied first if not:

1. Its elements are numbers that the standard never takes as indices: floats, and integers of 8 or 16 bits.
2. Every operator it goes into is in the tables below, at an input that the operator only streams through its arithmetic.
3. Where an operator may hand on its input itself, the same is true of everything behind it. Which ones do is the runtime's choice:
   it drops what it sees to be without effect (a ``Pad`` by nothing, a ``Cast`` to the same type), so all that could be are followed.
4. Nothing of it is an output of the model, or is used inside a subgraph (``If``, ``Loop``, ``Scan``) or by a function of the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from edged.onnx import schema
from edged.onnx.protobuf import Field, read_fields
from edged.pipeline.spec import Datatype, TensorSpec

DATATYPES: Final[frozenset[Datatype]] = frozenset({"FP16", "FP32", "FP64", "INT8", "UINT8", "INT16", "UINT16"})

_NONE: Final[frozenset[int]] = frozenset()
_FIRST: Final = frozenset({0})
_BOTH: Final = frozenset({0, 1})
_ALL: Final = frozenset(range(1 << 10))

ENDS: Final[Mapping[str, frozenset[int]]] = {
    "Conv": _FIRST,
    "ConvInteger": _FIRST,
    "ConvTranspose": _FIRST,
    "DFT": _FIRST,
    "Gemm": frozenset({0, 1, 2}),
    "GRU": frozenset({0, 5}),
    "LSTM": frozenset({0, 5, 6}),
    "MatMul": _BOTH,
    "MatMulInteger": _BOTH,
    "QLinearConv": _FIRST,
    "QLinearMatMul": frozenset({0, 3}),
    "RNN": frozenset({0, 5}),
    "STFT": _FIRST,
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Pow", "PRelu"), _BOTH),
    **dict.fromkeys(
        (
            *(
                "Abs",
                "Ceil",
                "Celu",
                "Cos",
                "Elu",
                "Erf",
                "Exp",
                "Floor",
                "Gelu",
                "HardSigmoid",
                "HardSwish",
                "LeakyRelu",
            ),
            *("Log", "LogSoftmax", "Mish", "Neg", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softmax"),
            *("Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
            *("AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"),
            *("BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization", "LRN"),
            *("LpNormalization", "MeanVarianceNormalization"),
            *("DequantizeLinear", "DynamicQuantizeLinear", "QuantizeLinear"),
            *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
            *("ReduceProd", "ReduceSum", "ReduceSumSquare"),
            *("Shape", "Size"),
        ),
        _FIRST,
    ),
}
"""Operators whose result is computed anew, and at which of their inputs values are nothing but numbers."""

FOLLOWED: Final[Mapping[str, frozenset[int]]] = {
    "Concat": _ALL,
    "Max": _ALL,
    "Mean": _ALL,
    "Min": _ALL,
    "Sum": _ALL,
    "Where": frozenset({1, 2}),
    **dict.fromkeys(("Add", "Div", "Mul", "Sub"), _BOTH),
    **dict.fromkeys(
        (
            *(
                "Cast",
                "CastLike",
                "Clip",
                "DepthToSpace",
                "Dropout",
                "Expand",
                "Flatten",
                "Gather",
                "Identity",
                "Pad",
                "Relu",
            ),
            *(
                "Reshape",
                "Resize",
                "Slice",
                "SpaceToDepth",
                "Split",
                "Squeeze",
                "Tile",
                "Transpose",
                "Unsqueeze",
                "Upsample",
            ),
        ),
        _FIRST,
    ),
}
"""Operators that do no harm either, but may hand on their input itself."""


class _Use(NamedTuple):
    """A node that takes a value."""

    operator: str
    slot: int
    outputs: Sequence[str]


def usable_in_place(model: bytes, inputs: Sequence[TensorSpec]) -> frozenset[str]:
    """Return the names of those inputs that may be read where the app keeps them.

    Args:
        model: ONNX, which ``edged.onnx.safety`` has let pass.
        inputs: The model's own, with the datatypes it loads with.
    """
    graph = _Graph(model)
    return frozenset(spec.name for spec in inputs if spec.dtype in DATATYPES and graph.only_streams(spec.name))


class _Graph:
    """Who takes what in the main graph of a model."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._uses: dict[str, list[_Use]] = {}
        self._barred: set[str] = set()
        """Values that are outputs, or are used where this walk does not follow."""
        for name, field in self._fields(schema.MODEL, 0, len(model)):
            if name == "graph":
                self._read(field)

    def only_streams(self, value: str) -> bool:
        """Tell whether nothing that takes a value can be harmed by its changing."""
        seen = {value}
        waiting = [value]
        while waiting:
            name = waiting.pop()
            if name in self._barred:
                return False
            for use in self._uses.get(name, ()):
                if use.slot in ENDS.get(use.operator, _NONE):
                    continue
                if use.slot not in FOLLOWED.get(use.operator, _NONE):
                    return False
                waiting += set(use.outputs) - seen
                seen.update(use.outputs)
        return True

    def _read(self, graph: Field) -> None:
        for name, field in self._fields(schema.GRAPH, graph.start, graph.end):
            if name == "node":
                self._node(field)
            elif name == "output":
                self._barred.add(self._first_text(field))

    def _node(self, node: Field) -> None:
        inputs: list[str] = []
        outputs: list[str] = []
        texts = {"op_type": "", "domain": ""}
        for name, field in self._fields(schema.NODE, node.start, node.end):
            if name == "input":
                inputs.append(self._text(field))
            elif name == "output":
                outputs.append(self._text(field))
            elif name in texts:
                texts[name] = self._text(field)
            elif name == "attribute":
                self._attribute(field)
        # What is not of the standard's main domain is in no table.
        operator = texts["op_type"] if texts["domain"] in {"", "ai.onnx"} else ""
        for slot, name in enumerate(inputs):
            if name:  # none stands for an optional input that is left out
                self._uses.setdefault(name, []).append(_Use(operator, slot, outputs))

    def _attribute(self, attribute: Field) -> None:
        for name, field in self._fields(schema.ATTRIBUTE, attribute.start, attribute.end):
            if name in {"g", "graphs"}:
                self._subgraph(field)

    def _subgraph(self, graph: Field) -> None:
        """Bar every value that a subgraph names: it may be one of the main graph's."""
        for name, field in self._fields(schema.GRAPH, graph.start, graph.end):
            if name == "output":
                self._barred.add(self._first_text(field))
            elif name == "node":
                for part, inner in self._fields(schema.NODE, field.start, field.end):
                    if part == "input":
                        self._barred.add(self._text(inner))
                    elif part == "attribute":
                        self._attribute(inner)

    def _first_text(self, value_info: Field) -> str:
        """Return the name of a graph's output (ValueInfoProto, field 1)."""
        fields = read_fields(self._model, value_info.start, value_info.end)
        return next((self._text(field) for field in fields if field.number == 1), "")

    def _fields(self, known: schema.Schema, start: int, end: int) -> Iterator[tuple[str, Field]]:
        for field in read_fields(self._model, start, end):
            yield known[field.number].name, field

    def _text(self, field: Field) -> str:
        return self._model[field.start : field.end].decode("utf-8", "surrogateescape")
