"""An input is read in place only where changing it meanwhile can change nothing but numbers."""

import numpy as np
import pytest

from edged.onnx.in_place import DATATYPES, ENDS, FOLLOWED, usable_in_place
from edged.pipeline.spec import TensorSpec
from tests.fakes.models import FLOAT, INT64, build, constant, helper, loop_model, onnx

X = TensorSpec(name="x", dtype="FP32", shape=(-1, 4))


def node(operator, inputs=("x",), outputs=("y",), **attributes):
    return helper.make_node(operator, list(inputs), list(outputs), **attributes)


def is_in_place(*nodes, spec=X, outputs=("y",), functions=(), opsets=()):
    model = build(
        nodes, [("x", FLOAT, ["n", 4])], [(name, FLOAT, None) for name in outputs], functions=functions, opsets=opsets
    )
    return usable_in_place(model.SerializeToString(), [spec]) == {"x"}


@pytest.mark.parametrize(
    "operator", ["Conv", "MatMul", "ReduceMean", "Softmax", "Sigmoid", "QuantizeLinear", "LSTM", "Shape"]
)
def test_what_only_goes_through_arithmetic_stays_where_it_is(operator):
    assert is_in_place(node(operator, ["x", "w", "b"]))


@pytest.mark.parametrize(
    "operator",
    [
        "TopK",
        "NonZero",
        "Compress",
        "Unique",
        "NonMaxSuppression",
        "GridSample",
        "RoiAlign",
        "OneHot",
        "Range",
        "ArgMax",
        "Made",
    ],
)
def test_what_may_use_values_as_places_counts_or_orders_gets_a_copy(operator):
    assert not is_in_place(node(operator))


@pytest.mark.parametrize(
    ("operator", "slot"),
    [
        ("Resize", 2),
        ("Upsample", 1),
        ("Gather", 1),
        ("Slice", 1),
        ("Pad", 1),
        ("Reshape", 1),
        ("Where", 0),
        ("Clip", 1),
    ],
)
def test_the_same_operator_may_stream_one_input_and_obey_another(operator, slot):
    """What is a tensor of numbers at the first input is a size or a place at another."""
    inputs = ["a", "b", "c"]
    inputs[slot] = "x"

    assert not is_in_place(node(operator, inputs))


def test_one_dangerous_use_among_many_is_enough():
    assert not is_in_place(node("Relu"), node("Conv", ["x", "w"], ["z"]), node("TopK", ["x", "k"], ["v", "i"]))


@pytest.mark.parametrize(
    "operator", ["Identity", "Reshape", "Cast", "Dropout", "Transpose", "Mul", "Concat", "Clip", "Relu", "Pad"]
)
def test_what_may_be_handed_on_is_followed(operator):
    """A runtime may drop each of these where it is without effect, and the next operator then gets the memory itself."""
    first = node(operator, ["x", "w"], ["same"])

    assert not is_in_place(first, node("TopK", ["same", "k"]))
    assert is_in_place(first, node("Conv", ["same", "w"]))


def test_chains_are_followed_to_their_ends():
    chain = [node("Squeeze", ["x"], ["a"]), node("Unsqueeze", ["a"], ["b"]), node("Split", ["b"], ["c", "", "d"])]

    assert is_in_place(*chain, node("Gemm", ["c", "d"]))
    assert not is_in_place(*chain, node("Gemm", ["c", "w"]), node("NonZero", ["d"], ["z"]))


def test_what_was_computed_anew_is_nobody_elses_memory():
    assert is_in_place(node("Sigmoid", ["x"], ["fresh"]), node("TopK", ["fresh", "k"]))


def test_an_input_that_is_an_output_gets_a_copy():
    assert not is_in_place(node("Identity"))
    assert not is_in_place(node("Conv", ["x", "w"], ["z"]), outputs=["x", "z"])


def test_what_a_subgraph_uses_gets_a_copy():
    inner = helper.make_graph(
        [node("Conv", ["x", "w"], ["z"])], "inner", [], [helper.make_tensor_value_info("z", FLOAT, None)]
    )
    outer = helper.make_graph(
        [node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)],
        "outer",
        [],
        [helper.make_tensor_value_info("z", FLOAT, None)],
    )
    named = helper.make_graph([], "named", [], [helper.make_tensor_value_info("x", FLOAT, None)])

    assert not is_in_place(node("Conv", ["x", "w"], ["a"]), node("If", ["c"], then_branch=inner, else_branch=inner))
    assert not is_in_place(node("If", ["c"], then_branch=outer, else_branch=outer))
    assert not is_in_place(node("If", ["c"], then_branch=named, else_branch=named))


def test_loops_get_copies_of_all_they_are_given():
    specs = [TensorSpec(name="x", dtype="FP32", shape=(1,)), TensorSpec(name="times", dtype="INT64", shape=(1,))]

    assert usable_in_place(loop_model(), specs) == frozenset()


def test_operators_outside_of_the_standards_main_domain_get_copies():
    """Functions of the model may do anything inside; an operator of another domain may be called like a harmless one."""
    function = helper.make_function("mine", "Conv", ["x"], ["y"], [node("NonZero")], [helper.make_opsetid("", 15)])

    assert not is_in_place(node("Conv", domain="mine"), functions=[function], opsets=["mine"])
    assert not is_in_place(node("Scaler", domain="ai.onnx.ml"))
    assert is_in_place(node("Conv", domain="ai.onnx"))


@pytest.mark.parametrize("dtype", ["BOOL", "INT32", "INT64", "UINT32", "UINT64", "BYTES"])
def test_elements_that_can_be_indices_or_have_lengths_get_copies(dtype):
    assert not is_in_place(node("Conv", ["x", "w"]), spec=TensorSpec(name="x", dtype=dtype, shape=(-1,)))


@pytest.mark.parametrize("dtype", sorted(DATATYPES))
def test_elements_that_are_only_numbers_stay_where_they_are(dtype):
    assert is_in_place(node("Conv", ["x", "w"]), spec=TensorSpec(name="x", dtype=dtype, shape=(-1,)))


def test_an_unused_input_and_one_with_a_default_are_harmless():
    weights = constant("w", np.ones((4, 1)))
    model = build(
        [node("MatMul", ["x", "w"])],
        [("x", FLOAT, [1, 4]), ("w", FLOAT, [4, 1]), ("unused", FLOAT, [1]), ("count", INT64, [1])],
        [("y", FLOAT, [1, 1])],
        initializers=[weights],
    )
    specs = [
        TensorSpec(name=name, dtype=dtype, shape=(-1,))
        for name, dtype in [("x", "FP32"), ("w", "FP32"), ("unused", "FP32"), ("count", "INT64")]
    ]

    assert usable_in_place(model.SerializeToString(), specs) == {"x", "w", "unused"}


def test_inputs_that_are_left_out_are_nobodys():
    """An empty name stands for an optional input that is not given, wherever it is."""
    assert is_in_place(
        node("Clip", ["x", "", "high"], ["z", ""]), node("Conv", ["z", "w"]), node("Range", ["", "", ""], ["r"])
    )


def test_every_operator_of_the_tables_is_one_of_the_standard():
    """A misspelled name would only cost copies, and nobody would notice."""
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}

    assert (ENDS.keys() | FOLLOWED.keys()) - known == set()
    assert ENDS.keys() & FOLLOWED.keys() == set()


def test_slots_of_the_tables_never_take_sizes_or_indices():
    """The standard's own types: an input that is named here takes floats or small integers, not only INT64 or INT32."""
    small = {"tensor(float)", "tensor(uint8)", "tensor(int8)"}
    for schema in onnx.defs.get_all_schemas():
        slots = ENDS.get(schema.name, FOLLOWED.get(schema.name, frozenset()))
        for slot, formal in enumerate(schema.inputs):
            if not schema.domain and slot in slots:
                assert formal.types & small, (schema.name, formal.name)
