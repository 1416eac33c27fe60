"""Two corpora of models, generated: ones that no device may load, each with the words of its refusal, and ordinary ones of many kinds.

What ``onnx.helper`` will not write is put together from fields of the wire format: ``message(field(7, text), ...)``.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from tests.fakes.models import FLOAT, INT64, build, constant, external_tensor, onnx

helper = onnx.helper
X, Y = ("x", FLOAT, ["n"]), ("y", FLOAT, ["n"])
OUTSIDE, CIRCLE, TWICE, UNKNOWN, CLAIM = (
    "outside the model file",
    "circle",
    "comes twice",
    "not of any ONNX version",
    "its data|does not go with",
)


def varint(value: int) -> bytes:
    """Return a number of the wire format."""
    data = b""
    while value >= 0x80:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    """Return a field: a number, or what has a length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def model_of(graph: bytes, *more: bytes) -> bytes:
    """Return a model with this graph and further fields."""
    return field(1, 8) + field(7, graph) + field(8, field(2, 15)) + b"".join(more)


def node(op="Identity", reads=("x",), writes=("y",), *attributes, **options):
    """Return a node that may have attributes of any kind."""
    made = helper.make_node(op, list(reads), list(writes), **options)
    made.attribute.extend(attributes)
    return made


def attribute(kind: str, value):
    """Return an attribute that holds a message, or several."""
    made = onnx.AttributeProto(name="hidden")
    if kind in {"t", "g", "sparse_tensor", "tp"}:
        getattr(made, kind).CopyFrom(value)
    else:
        getattr(made, kind).append(value)
    return made


def graph(*nodes, initializers=(), sparse=()):
    """Return a graph to put into an attribute."""
    made = helper.make_graph(list(nodes), "inner", [], [], initializer=list(initializers))
    made.sparse_initializer.extend(sparse)
    return made


def sparse(values=None, indices=None, dims=(4,)):
    """Return a sparse tensor."""
    return onnx.SparseTensorProto(
        values=values or constant("v", [1.0]), indices=indices or constant("i", [0], np.int64), dims=dims
    )


def function(name="f", *nodes, domain="mine", defaults=()):
    """Return a function of the model."""
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("mine", 1)]
    body = list(nodes) or [node()]
    return helper.make_function(domain, name, ["x"], ["y"], body, imports, attribute_protos=list(defaults))


def whole(*nodes, functions=(), initializers=(), opsets=("mine",), changed=None) -> bytes:
    """Return a model; ``changed`` may spoil it."""
    made = build(nodes or [node()], [X], [Y], functions=functions, initializers=initializers, opsets=opsets)
    if changed is not None:
        changed(made)
    return made.SerializeToString()


def tensor(**fields):
    """Return a tensor named ``t``."""
    return onnx.TensorProto(**({"name": "t", "data_type": FLOAT} | fields))


def branch(*nodes):
    """Return an If whose branches are this graph."""
    body = graph(*nodes)
    return node(
        "If", ["x"], ["y"], helper.make_attribute("then_branch", body), helper.make_attribute("else_branch", body)
    )


def nested(kind: str, inner, depth: int):
    """Return a graph with ``inner`` in it, in so many subgraphs of control flow."""
    for _ in range(depth):
        inner = graph(node(kind, ["x"], ["y"], helper.make_attribute("body", inner)))
    return inner


def _external() -> Iterator[tuple[str, bytes]]:
    out = external_tensor()
    places = {
        "constant": node("Constant", [], ["y"], attribute("t", out)),
        "list of tensors": node("Identity", ["x"], ["y"], attribute("tensors", out)),
        "sparse constant": node("Constant", [], ["y"], attribute("sparse_tensor", sparse(values=out))),
        "indices of a sparse constant": node("Constant", [], ["y"], attribute("sparse_tensors", sparse(indices=out))),
        "branch": node("If", ["x"], ["y"], attribute("g", graph(initializers=[out]))),
        "branches": node("If", ["x"], ["y"], attribute("graphs", graph(initializers=[out]))),
        "sparse initializer of a branch": node("If", ["x"], ["y"], attribute("g", graph(sparse=[sparse(values=out)]))),
    }
    for kind in ("If", "Loop", "Scan", "SequenceMap"):
        for depth in (1, 2, 5):
            places[f"{kind} {depth} deep"] = node(
                kind, ["x"], ["y"], attribute("g", nested(kind, graph(initializers=[out]), depth))
            )
    for name, at in places.items():
        yield name, whole(at)
        yield f"{name}, in a function", whole(node("f", domain="mine"), functions=[function("f", at)])
        yield f"{name}, in a function that nobody calls", whole(functions=[function("f", at)])
    for location in ("weights.bin", "/etc/passwd", "../../x", "", "file:///etc/passwd", "\\\\host\\share", "a" * 5000):
        yield f"at {location[:20]!r}", whole(initializers=[external_tensor(location=location)])
    default = helper.make_attribute("a", out)
    yield "default of a function", whole(functions=[function("f", defaults=[default])])
    for part in ("initialization", "algorithm"):
        yield (
            part,
            whole(
                changed=lambda m, part=part: getattr(m.training_info.add(), part).CopyFrom(graph(initializers=[out]))
            ),
        )
    yield "sparse initializer", whole(changed=lambda m: m.graph.sparse_initializer.append(sparse(values=out)))
    named, marked = external_tensor(), external_tensor()
    named.ClearField("data_location")
    marked.ClearField("external_data")
    yield "only named", whole(initializers=[named])
    yield "only marked", whole(initializers=[marked])
    both = external_tensor()
    both.raw_data = b"four"
    yield "beside data of its own", whole(initializers=[both])
    yield "unknown location", model_of(field(5, field(1, 1) + field(2, 1) + field(9, b"four") + field(14, 7)))


def _claims() -> Iterator[tuple[str, bytes]]:
    for name, bad in {
        "terabyte": tensor(dims=[1 << 40], raw_data=b"four"),
        "overflow of 64 bits": tensor(dims=[1 << 32, 1 << 32, 4], raw_data=b"four"),
        "overflow of every number": tensor(dims=[(1 << 62)] * 16, raw_data=b"four"),
        "no data": tensor(dims=[4]),
        "scalar without data": tensor(dims=[]),
        "one byte short": tensor(dims=[4], raw_data=bytes(15)),
        "one byte more": tensor(dims=[4], raw_data=bytes(17)),
        "data of no elements": tensor(dims=[0, 4], raw_data=bytes(4)),
        "two kinds of data": tensor(dims=[1], raw_data=bytes(4), float_data=[1.0]),
        "two lists": tensor(dims=[1], float_data=[1.0], int32_data=[1]),
        "text as raw data": tensor(dims=[1], raw_data=b"text", data_type=8),
        "numbers as text": tensor(dims=[1], string_data=[b"text"]),
        "half of the text": tensor(dims=[100], string_data=[b"text"], data_type=8),
        "doubles in floats' size": tensor(dims=[4], raw_data=bytes(16), data_type=11),
        "four bits, too many": tensor(dims=[3], raw_data=bytes(3), data_type=21),
    }.items():
        yield name, whole(initializers=[bad])
        yield f"{name}, as a constant", whole(node("Constant", [], ["y"], attribute("t", bad)))


def _shapes() -> Iterator[tuple[str, bytes]]:
    yield "negative size", whole(initializers=[tensor(dims=[-1], raw_data=b"four")])
    yield "seventeen axes", whole(initializers=[tensor(dims=[1] * 17, raw_data=b"four")])
    yield "million axes", whole(initializers=[tensor(dims=[1] * 1_000_000, raw_data=b"four")])
    yield "negative sparse size", whole(changed=lambda m: m.graph.sparse_initializer.append(sparse(dims=[-4])))
    yield "sparse axes", whole(changed=lambda m: m.graph.sparse_initializer.append(sparse(dims=[1] * 17)))
    packed = field(1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f") + field(2, 1) + field(9, b"four")
    yield "packed size beyond 64 bits", model_of(field(5, packed))
    yield "packed size cut short", model_of(field(5, field(1, b"\x80") + field(2, 1) + field(9, b"four")))


def _operators() -> Iterator[tuple[str, bytes]]:
    for domain in (
        *(
            "com.microsoft",
            "com.microsoft.nchwc",
            "com.ms.internal.nhwc",
            "ai.onnx.training",
            "ai.onnx.preview.training",
        ),
        *(
            "org.pytorch.aten",
            "evil",
            "AI.ONNX",
            "ai.onnx ",
            " ",
            "ai.onnx\0",
            "ai.onnx.ml.",
            "\u202eevil",
            "e" * 100_000,
        ),
    ):
        yield f"domain {domain[:30]!r}", whole(node("EPContext", domain=domain))
    evil = node("Evil", domain="evil")
    yield "in a branch", whole(branch(evil))
    yield "in a function", whole(node("f", domain="mine"), functions=[function("f", evil)])
    yield "in a function that nobody calls", whole(functions=[function("f", evil)])
    yield "function of another name", whole(node("g", domain="mine"), functions=[function("f")])


def _wiring() -> Iterator[tuple[str, bytes]]:
    yield "node that reads itself", whole(node("Add", ["x", "y"], ["y"]))
    yield "two nodes", whole(node("Add", ["x", "b"], ["y"]), node("Neg", ["y"], ["b"]))
    ring = [node("Neg", [f"t{i}"], [f"t{(i + 1) % 500}"]) for i in range(500)]
    yield "ring of five hundred", whole(*ring, node("Neg", ["x"], ["y"]))
    yield "branch that reads its own node", whole(branch(node("Neg", ["y"], ["inner"])))
    yield "circle in a branch", whole(branch(node("Neg", ["a"], ["b"]), node("Neg", ["b"], ["a"])))
    yield "circle in a function", whole(functions=[function("f", node("Neg", ["a"], ["b"]), node("Neg", ["b"], ["a"]))])


def _merged() -> Iterator[tuple[str, bytes]]:
    plain = field(5, field(1, 1) + field(2, 1) + field(8, b"t") + field(9, b"four"))
    yield "graph", model_of(plain, field(7, plain))
    yield "data type", model_of(field(5, field(1, 1) + field(2, 1) + field(2, 11) + field(9, b"four")))
    yield "raw data", model_of(field(5, field(1, 1) + field(2, 1) + field(9, b"four") + field(9, b"more")))
    yield "operator", model_of(field(1, field(4, b"Neg") + field(4, b"Evil")))
    yield "domain", model_of(field(1, field(4, b"Neg") + field(7, b"") + field(7, b"evil")))
    yield (
        "tensor of an attribute",
        model_of(field(1, field(4, b"Constant") + field(5, field(5, plain[2:]) + field(5, plain[2:])))),
    )
    yield "values of a sparse tensor", model_of(field(15, field(1, plain[2:]) + field(1, plain[2:])))
    yield "type of an input", model_of(field(11, field(1, b"x") + field(2, b"") + field(2, b"")))
    yield "version", field(1, 8) + model_of(b"")


def _unknown() -> Iterator[tuple[str, bytes]]:
    for number in (5, 9, 13, 21, 99, 1000, (1 << 29) - 1):
        yield f"field {number} of the model", model_of(b"", field(number, b""))
    yield "field of a graph", model_of(field(3, b""))
    yield "field of a node", model_of(field(1, field(11, b"")))
    yield "segment of a tensor", model_of(field(5, field(3, field(1, 0) + field(2, 1 << 40))))
    yield "field of an attribute", model_of(field(1, field(5, field(12, b""))))
    yield "field of a type", model_of(field(11, field(2, field(3, b""))))
    yield "field of metadata", model_of(b"", field(14, field(3, b"")))
    yield "field of an import", model_of(b"", field(8, field(3, b"")))
    yield "graph as a number", field(7, 1)
    yield "number as a text", model_of(b"", field(5, b"12"))
    yield "type of an unknown version", whole(initializers=[tensor(dims=[1], raw_data=b"four", data_type=99)])
    yield "type of no version", whole(initializers=[tensor(dims=[1], raw_data=b"four", data_type=0)])


def _garbled() -> Iterator[tuple[str, bytes]]:
    yield "group", model_of(b"\x0b\x0c")
    yield "end of a group", model_of(b"\x0c")
    yield "sixth wire type", model_of(b"\x0e")
    yield "seventh wire type", model_of(b"\x0f")
    yield "field nought", model_of(b"\x02\x00")
    yield "tag of 64 bits", model_of(b"\xff" * 9 + b"\x01\x00")
    yield "number without an end", model_of(b"\x08" + b"\x80" * 20)
    yield "number beyond 64 bits", b"\x08" + b"\xff" * 9 + b"\x7f" + field(7, b"")
    yield "length beyond the file", b"\x3a\xff\xff\xff\xff\x0f"
    yield "length of 2**63", b"\x3a" + b"\x80" * 9 + b"\x01"
    yield "length beyond its message", model_of(b"\x0a\x05\x0a\x04")
    yield "cut number of eight bytes", model_of(field(5, field(2, 1) + b"\x51\x00"))
    yield "cut number of four bytes", model_of(field(1, field(5, b"\x15\x00")))
    yield "text", b"<html><body>404</body></html>"
    yield "picture", b"\x89PNG\r\n\x1a\n" + bytes(64)
    yield "pickle", b"\x80\x04\x95\x10\x00\x00\x00"
    yield "zip", b"PK\x03\x04" + bytes(60)


def _large() -> Iterator[tuple[str, str, bytes]]:
    yield "deep branches", "nested deeper", whole(node("If", ["x"], ["y"], attribute("g", nested("If", graph(), 20))))
    deep = b""
    for _ in range(200):  # beyond what onnx's own parser reads
        deep = field(1, field(4, b"Loop") + field(5, field(6, deep)))
    yield "deep loops", "nested deeper", model_of(deep)
    kind = field(1, field(1, 1))
    for _ in range(60):
        kind = field(4, field(1, kind))
    yield "deep type", "nested deeper", model_of(field(11, field(2, kind)))
    yield "deep type of an attribute", "nested deeper", model_of(field(1, field(5, field(14, kind))))
    yield "many nodes", "nodes up to here", model_of(b"\x0a\x00" * 100_001)
    yield (
        "many nodes in many graphs",
        "nodes up to here",
        model_of(field(1, field(5, field(6, b"\x0a\x00" * 60_000))) * 2),
    )
    doubling = [
        function(f"f{i}", node(f"f{i + 1}", domain="mine"), node(f"f{i + 1}", writes=["z"], domain="mine"))
        for i in range(60)
    ]
    yield "doubling functions", "written out", whole(node("f0", domain="mine"), functions=[*doubling, function("f60")])
    huge = sparse(dims=[1 << 20, 1 << 20])
    yield "sparse", "written out", whole(changed=lambda m: m.graph.sparse_initializer.append(huge))
    yield "sparse constant", "written out", whole(node("Constant", [], ["y"], attribute("sparse_tensor", huge)))


def _functions() -> Iterator[tuple[str, str, bytes]]:
    def calls(name):
        return node(name, domain="mine")

    yield "itself", "calls itself", whole(calls("f"), functions=[function("f", calls("f"))])
    yield "each other", "calls itself", whole(functions=[function("f", calls("g")), function("g", calls("f"))])
    yield "from a branch", "calls itself", whole(functions=[function("f", branch(calls("f")))])
    ring = [function(f"f{i}", calls(f"f{(i + 1) % 2000}")) for i in range(2000)]
    yield "ring of two thousand", "calls itself", whole(functions=ring)
    yield "twice", "defined twice", whole(functions=[function("f"), function("f")])
    for domain in ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.training"):
        yield f"in domain {domain!r}", "may not define operators", whole(functions=[function("Relu", domain=domain)])


def hostile() -> Mapping[str, tuple[str, bytes]]:
    """Return models by name, each with words of its refusal."""
    corpus: dict[str, tuple[str, bytes]] = {}
    for words, models in {
        OUTSIDE: _external(),
        CLAIM: _claims(),
        "a shape with": _shapes(),
        "operator": _operators(),
        CIRCLE: _wiring(),
        TWICE: _merged(),
        UNKNOWN: _unknown(),
        "begins no field|cut short|does not end|not of any ONNX version": _garbled(),
    }.items():
        corpus |= {f"{words}: {name}": (words, model) for name, model in models}
    for name, words, model in (*_large(), *_functions()):
        corpus[f"{words}: {name}"] = (words, model)
    corpus["no graph: nothing"] = ("no graph", b"")
    corpus["no graph: only a version"] = ("no graph", field(1, 8))
    corpus["own format"] = ("own format", b"\x12\x06xxORTM" + whole())
    corpus["written twice: by two nodes"] = ("a second time", whole(node(), node("Neg")))
    corpus["written twice: by one node"] = ("a second time", whole(node("Split", ["x"], ["y", "y"])))
    corpus["imported twice: as such"] = ("imported twice", whole(changed=lambda m: m.opset_import.add(version=9)))
    corpus["imported twice: under two names"] = (
        "imported twice",
        whole(changed=lambda m: m.opset_import.add(domain="ai.onnx", version=9)),
    )
    return corpus


def ordinary() -> Mapping[str, bytes]:
    """Return models of many kinds that are fine, by name."""
    flag = ("flag", onnx.TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["carried", "x"], ["next"]),
            helper.make_node("Identity", ["next"], ["scan"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, ["n"]),
            helper.make_tensor_value_info("scan", FLOAT, ["n"]),
        ],
    )
    loop = helper.make_node("Loop", ["times", "", "x"], ["y", "all"], body=body)

    def taken(op):
        return helper.make_graph(
            [helper.make_node(op, ["x"], ["out"])], op, [], [helper.make_tensor_value_info("out", FLOAT, ["n"])]
        )

    choice = helper.make_node("If", ["flag"], ["y"], then_branch=taken("Neg"), else_branch=taken("Abs"))
    typed = {
        "float": constant("t", np.zeros((2, 3))),
        "half": constant("t", np.zeros(3), np.float16),
        "bytes": constant("t", np.zeros(5), np.uint8),
        "truth": constant("t", np.ones(3), np.bool_),
        "nothing": constant("t", np.zeros((0, 7))),
        "scalar": constant("t", 1, np.float64),
        "complex": constant("t", np.zeros(2), np.complex64),
        "text": helper.make_tensor("t", onnx.TensorProto.STRING, [2], [b"", b"text"]),
        "list of halves": helper.make_tensor("t", onnx.TensorProto.FLOAT16, [3], [1.0, 2.0, 3.0]),
        "list of numbers": helper.make_tensor("t", INT64, [2], [1, -1]),
        "list of four bits": helper.make_tensor("t", onnx.TensorProto.INT4, [3], [1, 2, 3]),
        "four bits": onnx.TensorProto(name="t", data_type=onnx.TensorProto.INT4, dims=[3], raw_data=b"\x21\x03"),
    }
    relu = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])]
    made = {
        "loop": build([loop], [X, ("times", INT64, [])], [Y]),
        "branch": build([choice], [X, flag], [Y]),
        "nodes out of order": build(relu[::-1], [X], [Y]),
        "outputs left out": build([helper.make_node("Dropout", ["x"], ["y", ""])], [X], [Y]),
        "function": build([node("f", domain="mine")], [X], [Y], functions=[function("f")], opsets=["mine"]),
        "functions": build(
            [node("f", domain="mine")],
            [X],
            [Y],
            functions=[function("f", node("g", domain="mine")), function("g")],
            opsets=["mine"],
        ),
        "trees": build([node("TreeEnsembleRegressor", domain="ai.onnx.ml")], [X], [Y], opsets=["ai.onnx.ml"]),
        "sparse constant": build([node("Constant", [], ["y"], attribute("sparse_tensor", sparse()))], [X], [Y]),
        "import without a node": build([node()], [X], [Y], opsets=["com.microsoft"]),
        "optional sequence": build([node("Optional", ["x"], ["y"], attribute("tp", _sequence_type()))], [X], [Y]),
        "name used in two branches": build([choice, helper.make_node("Neg", ["x"], ["out"])], [X, flag], [Y]),
    }
    made |= {f"tensor of {name}": build([node()], [X], [Y], initializers=[value]) for name, value in typed.items()}
    described = build([node(name="n")], [X], [Y])
    described.metadata_props.add(key="author", value="nobody")
    described.graph.value_info.append(helper.make_tensor_value_info("h", FLOAT, ["n", 3, None]))
    made["described"] = described
    return {name: model.SerializeToString() for name, model in made.items()}


def _sequence_type():
    return helper.make_optional_type_proto(helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["n"])))
