"""Hostile models are refused with the place and a hint; ordinary ones pass; nothing else ever happens."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import UnsafeModelError
from edged.onnx import safety
from edged.onnx.safety import MAX_DEPTH, MAX_NODES, check_model
from tests.fakes import models
from tests.fakes.models import FLOAT, build, constant, external_tensor, onnx

helper = onnx.helper
X, Y = ("x", FLOAT, ["n"]), ("y", FLOAT, ["n"])
EXTERNAL = "outside the model file"


def same():
    return helper.make_node("Identity", ["x"], ["y"])


def plain():
    """A model that passes, to be spoiled."""
    return build([same()], [X], [Y])


def in_attribute(kind: str, value):
    """A node with an attribute that holds ``value``."""
    node = same()
    attribute = node.attribute.add(name="hidden")
    if kind in {"t", "g", "sparse_tensor"}:
        getattr(attribute, kind).CopyFrom(value)
    else:
        getattr(attribute, kind).append(value)
    return node


def graph_with(*initializers, nodes=()):
    return helper.make_graph(list(nodes), "inner", [], [], initializer=list(initializers))


def sparse(values=None, indices=None):
    return onnx.SparseTensorProto(
        values=values or constant("v", [1.0]), indices=indices or constant("i", [0], np.int64), dims=[4]
    )


def function(name="f", domain="mine", nodes=(), **attributes):
    imports = [helper.make_opsetid("", 15), helper.make_opsetid("mine", 1)]
    return helper.make_function(domain, name, ["x"], ["y"], list(nodes) or [same()], imports, **attributes)


def call(name, domain="mine", output="y"):
    return helper.make_node(name, ["x"], [output], domain=domain)


def spoiled(change):
    model = plain()
    change(model)
    return model.SerializeToString()


def with_function_node(node):
    return build([call("f")], [X], [Y], functions=[function(nodes=[node])], opsets=["mine"]).SerializeToString()


HIDING_PLACES = {
    "initializer": build([same()], [X], [Y], initializers=[external_tensor()]),
    "attribute tensor": build([in_attribute("t", external_tensor())], [X], [Y]),
    "attribute tensors": build([in_attribute("tensors", external_tensor())], [X], [Y]),
    "sparse values": build([in_attribute("sparse_tensor", sparse(values=external_tensor()))], [X], [Y]),
    "sparse indices": build([in_attribute("sparse_tensors", sparse(indices=external_tensor()))], [X], [Y]),
    "subgraph": build([in_attribute("g", graph_with(external_tensor()))], [X], [Y]),
    "subgraphs": build([in_attribute("graphs", graph_with(external_tensor()))], [X], [Y]),
    "subgraph of a subgraph": build(
        [in_attribute("g", graph_with(nodes=[in_attribute("g", graph_with(external_tensor()))]))], [X], [Y]
    ),
}


@pytest.mark.parametrize("place", HIDING_PLACES)
def test_external_data_is_found_wherever_it_hides(place):
    with pytest.raises(UnsafeModelError, match=EXTERNAL) as caught:
        check_model(HIDING_PLACES[place].SerializeToString())
    assert caught.value.hint


def test_external_data_is_found_outside_of_the_graph():
    """In functions, whether called or not, in their default attributes, in training graphs, in sparse initializers."""
    default = helper.make_attribute("a", external_tensor())
    hidden = [
        with_function_node(in_attribute("t", external_tensor())),
        build(
            [same()], [X], [Y], functions=[function(nodes=[in_attribute("t", external_tensor())])]
        ).SerializeToString(),
        build([same()], [X], [Y], functions=[function(attribute_protos=[default])]).SerializeToString(),
        spoiled(lambda m: m.training_info.add().initialization.CopyFrom(graph_with(external_tensor()))),
        spoiled(lambda m: m.training_info.add().algorithm.CopyFrom(graph_with(external_tensor()))),
        spoiled(lambda m: m.graph.sparse_initializer.append(sparse(values=external_tensor()))),
    ]
    for model in hidden:
        with pytest.raises(UnsafeModelError, match=EXTERNAL):
            check_model(model)


def test_either_sign_of_external_data_is_enough():
    """Runtimes differ in which of the two they follow."""
    marked, named = external_tensor(), external_tensor()
    marked.ClearField("external_data")
    named.ClearField("data_location")
    for tensor in (marked, named):
        with pytest.raises(UnsafeModelError, match=EXTERNAL):
            check_model(spoiled(lambda m, tensor=tensor: m.graph.initializer.append(tensor)))


def test_a_second_copy_of_a_field_is_refused():
    """Parsers merge copies of a message, so that two harmless halves could make one that is not."""
    model = plain().SerializeToString()
    half = onnx.ModelProto(graph=graph_with(constant("c", [1.0]))).SerializeToString()

    with pytest.raises(UnsafeModelError, match="graph comes twice"):
        check_model(model + half)


@pytest.mark.parametrize(
    "domain", ["com.microsoft", "ai.onnx.training", "ai.onnx.preview.training", "evil", "AI.ONNX", "ai.onnx.ml "]
)
def test_operators_of_other_domains_are_refused_with_their_place(domain):
    model = build([same(), helper.make_node("EPContext", ["x"], ["z"], name="here", domain=domain)], [X], [Y])

    with pytest.raises(UnsafeModelError, match=r"graph, node 1 \(EPContext here\)"):
        check_model(model.SerializeToString())


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml"])
def test_standard_operators_pass(domain):
    check_model(build([helper.make_node("Scaler", ["x"], ["y"], domain=domain)], [X], [Y]).SerializeToString())


def test_an_import_without_a_node_passes():
    """ONNX Runtime's quantizer writes them into every model it makes."""
    check_model(build([same()], [X], [Y], opsets=["com.microsoft"]).SerializeToString())


def test_operators_in_subgraphs_and_functions_are_judged_too():
    evil = helper.make_node("Evil", ["x"], ["y"], domain="evil")
    for model in (
        build([in_attribute("g", graph_with(nodes=[evil]))], [X], [Y]).SerializeToString(),
        with_function_node(evil),
        build([same()], [X], [Y], functions=[function(nodes=[evil])]).SerializeToString(),
    ):
        with pytest.raises(UnsafeModelError, match="Evil"):
            check_model(model)


def test_functions_of_the_model_itself_pass():
    functions = [function("f", nodes=[call("g")]), function("g")]

    check_model(
        build([call("f"), call("g", output="z")], [X], [Y], functions=functions, opsets=["mine"]).SerializeToString()
    )


@pytest.mark.parametrize("domain", ["", "ai.onnx.ml", "com.microsoft", "ai.onnx.training"])
def test_a_function_in_a_runtimes_domain_is_refused(domain):
    """It would stand for an operator the runtime has, or make one look like the model's own."""
    with pytest.raises(UnsafeModelError, match="may not define operators"):
        check_model(build([same()], [X], [Y], functions=[function(domain=domain)]).SerializeToString())


@pytest.mark.parametrize(
    "functions",
    [
        [function("f", nodes=[call("f")])],
        [function("f", nodes=[call("g")]), function("g", nodes=[call("f")])],
        [function("f", nodes=[in_attribute("g", graph_with(nodes=[call("f")]))])],
    ],
    ids=["itself", "each other", "in a subgraph"],
)
def test_functions_that_call_themselves_are_refused(functions):
    with pytest.raises(UnsafeModelError, match="calls itself"):
        check_model(build([call("f")], [X], [Y], functions=functions, opsets=["mine"]).SerializeToString())


def test_functions_that_double_themselves_are_refused():
    """Forty functions that call the next one twice are 2**40 nodes when written out."""
    functions = [function(f"f{i}", nodes=[call(f"f{i + 1}"), call(f"f{i + 1}", output="z")]) for i in range(40)] + [
        function("f40")
    ]

    with pytest.raises(UnsafeModelError, match="written out"):
        check_model(build([call("f0")], [X], [Y], functions=functions, opsets=["mine"]).SerializeToString())


def test_a_function_defined_twice_is_refused():
    with pytest.raises(UnsafeModelError, match="defined twice"):
        check_model(build([same()], [X], [Y], functions=[function(), function()]).SerializeToString())


@pytest.mark.parametrize(
    "tensor",
    [
        onnx.TensorProto(name="t", data_type=FLOAT, dims=[1 << 40], raw_data=b"four"),
        onnx.TensorProto(name="t", data_type=FLOAT, dims=[1 << 31, 1 << 31, 1 << 31], float_data=[1.0]),
        onnx.TensorProto(name="t", data_type=FLOAT, dims=[-1], raw_data=b"four"),
        onnx.TensorProto(name="t", data_type=FLOAT, dims=[1] * 17, raw_data=b"four"),
        onnx.TensorProto(name="t", data_type=FLOAT, dims=[]),
    ],
    ids=["too large", "overflowing", "negative", "too many axes", "without data"],
)
def test_a_tensor_that_claims_what_it_does_not_have_is_refused(tensor):
    with pytest.raises(UnsafeModelError, match=r"initializer 0( \(t\))?:"):
        check_model(spoiled(lambda m: m.graph.initializer.append(tensor)))


def test_packed_and_unpacked_shapes_are_read_alike():
    """The schema says unpacked; parsers take both."""
    packed = b"\x0a\x06" + b"\xff\xff\xff\xff\xff\x01" + b"\x10\x01" + b"\x4a\x04four"
    graph = b"\x2a" + bytes([len(packed)]) + packed

    with pytest.raises(UnsafeModelError, match="elements"):
        check_model(b"\x3a" + bytes([len(graph)]) + graph)


@pytest.mark.parametrize(
    "tensor",
    [
        constant("t", np.zeros((0, 3))),
        constant("t", np.float32(1)),
        constant("t", np.zeros(1000), np.int8),
        helper.make_tensor("t", onnx.TensorProto.STRING, [3], [b"", b"", b""]),
        helper.make_tensor("t", onnx.TensorProto.INT32, [2], [0, -1]),
        helper.make_tensor("t", onnx.TensorProto.BOOL, [8], [True] * 8),
        helper.make_tensor("t", onnx.TensorProto.FLOAT16, [2], [1.0, 2.0]),
    ],
)
def test_ordinary_tensors_pass(tensor):
    check_model(spoiled(lambda m: m.graph.initializer.append(tensor)))


def test_a_sparse_tensor_that_is_huge_when_written_out_is_refused():
    huge = onnx.SparseTensorProto(values=constant("v", [1.0]), indices=constant("i", [0], np.int64), dims=[1 << 30])

    with pytest.raises(UnsafeModelError, match="written out"):
        check_model(spoiled(lambda m: m.graph.sparse_initializer.append(huge)))


def test_too_many_nodes_are_refused():
    graph = b"\x0a\x00" * (MAX_NODES + 1)
    length = len(graph)
    prefix = b"\x3a" + bytes([length & 0x7F | 0x80, length >> 7 & 0x7F | 0x80, length >> 14])

    with pytest.raises(UnsafeModelError, match=f"more than {MAX_NODES} nodes"):
        check_model(prefix + graph)


def test_too_many_fields_are_refused(monkeypatch):
    monkeypatch.setattr(safety, "MAX_FIELDS", 10)

    with pytest.raises(UnsafeModelError, match="more than 10 fields"):
        check_model(models.add_model())


def test_graphs_nested_too_deep_are_refused():
    graph = graph_with()
    for _ in range(MAX_DEPTH // 3 + 1):  # a graph in an attribute of a node
        graph = graph_with(nodes=[in_attribute("g", graph)])

    with pytest.raises(UnsafeModelError, match="nested deeper"):
        check_model(onnx.ModelProto(ir_version=8, graph=graph).SerializeToString())


def test_onnx_runtimes_own_format_is_refused():
    """It begins with its tables' offset and ORTM, and could at the same time be a harmless ONNX file."""
    with pytest.raises(UnsafeModelError, match="own format"):
        check_model(b"\x12\x06xxORTM" + plain().SerializeToString())


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no graph"),
        (b"not a model at all", "model"),
        (b"\x08\x08", "no graph"),
        (b"\x3a\x05\x0a", "cut short"),
        (b"\xa2\x06\x00" + b"\x3a\x00", "not of any ONNX version"),
        (b"\x3d\x00\x00\x00\x00", "not of any ONNX version"),
    ],
)
def test_garbage_is_refused(data, match):
    with pytest.raises(UnsafeModelError, match=match) as caught:
        check_model(data)
    assert caught.value.hint


def test_a_very_long_name_does_not_make_a_very_long_error():
    node = helper.make_node("Evil", ["x"], ["y"], name="n" * 1_000_000, domain="d" * 1_000_000)

    with pytest.raises(UnsafeModelError) as caught:
        check_model(build([node], [X], [Y]).SerializeToString())
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(
    "model",
    [
        models.add_model(),
        models.identity_model(),
        models.classifier_model(),
        models.loop_model(),
        models.allocating_model(),
        models.weighty_model(1 << 20),
        with_function_node(same()),
    ],
)
def test_ordinary_models_pass(model):
    onnx.checker.check_model(onnx.load_from_string(model))
    check_model(model)


def test_magikas_model_passes():
    magika = pytest.importorskip("magika", reason="the model comes in the magika package (the demo extra)")

    check_model((Path(magika.__file__).parent / "models/standard_v3_3/model.onnx").read_bytes())


SEEDS = [place.SerializeToString() for place in HIDING_PLACES.values()] + [
    models.add_model(),
    models.loop_model(),
    with_function_node(same()),
]


@given(st.sampled_from(SEEDS), st.data())
def test_damaged_models_are_refused_or_pass(model, data):
    """Whatever is cut out, put in or flipped: UnsafeModelError or success, never anything else."""
    damaged = bytearray(model)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(damaged) - 1, 0)))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"])):
            case "flip" if damaged:
                damaged[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del damaged[at : at + data.draw(st.integers(1, 8))]
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case _:
                damaged[at:at] = damaged[at : at + 16]
    with suppress(UnsafeModelError):
        check_model(bytes(damaged))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_or_pass(data):
    with suppress(UnsafeModelError):
        check_model(data)
