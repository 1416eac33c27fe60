"""A step that is a graph: names on both sides, and the types that it is declared with."""

import numpy as np
import pytest

from edged.errors import BackendError, BundleError, ModelLoadError, TensorError, UnsafeModelError
from edged.pipeline.kernels import compile_stage
from edged.pipeline.steps import Graph
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.steps.graph import GraphTensor
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.graphs import Graphs
from tests.fakes import models
from tests.fakes.steps import floats, spec


def tensor(name, at, *shape, dtype="FP32"):
    return GraphTensor(name=name, tensor=at, dtype=dtype, shape=shape)


X, Y = tensor("x", "rows", -1, 4), tensor("y", "more", -1, 4)


def graph(inputs=(X,), outputs=(Y,)):
    return Graph(file="step.onnx", inputs=tuple(inputs), outputs=tuple(outputs))


@pytest.fixture(scope="module")
def backend():
    return OnnxRuntime()


def run(backend, step, model, arrays):
    return compile_stage([step], {"step.onnx": model}, Graphs(backend).load).run(arrays)


def test_tensors_have_their_own_names_in_the_graph_and_in_the_pipeline(backend):
    known = run(backend, graph(), models.add_model(1), {"rows": floats([1, 2, 3, 4])})

    assert known["more"].tolist() == [[2, 3, 4, 5]]
    assert known.keys() == {"rows", "more"}


def test_a_graph_may_read_one_tensor_twice_and_give_only_some_of_its_outputs(backend):
    nodes = [models.helper.make_node(op, ["a", "b"], [name]) for op, name in (("Add", "sum"), ("Sub", "rest"))]
    pair = [(name, models.FLOAT, ["n"]) for name in ("a", "b")]
    model = models.build(nodes, pair, [(name, models.FLOAT, ["n"]) for name in ("sum", "rest")]).SerializeToString()
    step = graph([tensor("a", "x", -1), tensor("b", "x", -1)], [tensor("sum", "double", -1)])

    assert run(backend, step, model, {"x": floats(1, 2)})["double"].tolist() == [2, 4]


def test_texts_go_through_a_graph(backend):
    step = graph([tensor("x", "text", -1, dtype="BYTES")], [tensor("y", "same", -1, dtype="BYTES")])
    text = np.empty(1, dtype=object)
    text[0] = "über".encode()

    model = models.identity_model(models.STRING)
    assert run(backend, step, model, {"text": text})["same"].tolist() == ["über".encode()]
    text[0] = b"\xff"
    with pytest.raises(TensorError, match="UTF-8"):
        run(backend, step, model, {"text": text})


@pytest.mark.parametrize(
    ("step", "model", "error", "match"),
    [
        (graph(), models.external_data_model(), UnsafeModelError, "outside the model file"),
        (graph(), b"no graph at all", UnsafeModelError, "begins no field"),
        (graph([tensor("x", "rows", -1, 5)]), models.add_model(), ModelLoadError, r"x is FP32 \[-1, 5\]"),
        (graph([tensor("z", "rows", -1, 4)]), models.add_model(), ModelLoadError, "the graph that gives y"),
        (graph([tensor("x", "rows", -1, 4, dtype="FP16")]), models.add_model(), ModelLoadError, "FP16"),
        (graph(outputs=[tensor("z", "more", 1)]), models.add_model(), ModelLoadError, "the graph that gives z"),
    ],
)
def test_a_graph_that_is_unsafe_or_another_is_found_when_it_is_loaded(backend, step, model, error, match):
    with pytest.raises(error, match=match):
        run(backend, step, model, {})


def test_a_missing_file_is_found_when_it_is_loaded(backend):
    with pytest.raises(BundleError, match=r"graph@1 names step\.onnx"):
        compile_stage([graph()], {}, Graphs(backend).load)


@pytest.mark.parametrize("array", [np.zeros((2, 3), np.float32), np.zeros((2, 4), np.float64), np.zeros(4, np.float32)])
def test_an_array_it_does_not_take_is_refused_before_the_runtime_sees_it(backend, array):
    with pytest.raises(TensorError, match=r"graph@1 takes x as FP32 \[any, 4\], got"):
        run(backend, graph(), models.add_model(), {"rows": array})


def test_an_output_unlike_its_declaration_is_the_publishers_fault(backend):
    """The graph itself leaves the size of its output open."""
    step = graph([tensor("count", "n", 1, dtype="INT64")], [tensor("y", "zeros", 3)])

    assert run(backend, step, models.allocating_model(), {"n": np.array([3])})["zeros"].tolist() == [0, 0, 0]
    with pytest.raises(BundleError, match=r"gives y as FP32 \[4\], the manifest says FP32 \[3\]"):
        run(backend, step, models.allocating_model(), {"n": np.array([4])})


def test_a_graph_that_fails_says_which(backend):
    step = graph(outputs=[tensor("y", "pairs", 2, 4)])

    with pytest.raises(BackendError, match="the graph that gives y failed"):
        run(backend, step, models.reshaping_model(), {"rows": np.zeros((3, 4), np.float32)})


def test_what_it_gives_is_what_it_declares():
    assert [str(item) for item in graph().gives({"rows": spec("rows", 1, 4)})] == ["FP32 [any, 4]"]
    assert graph().writes == ("more",)
    assert graph().files == {"step.onnx": "graph"}


@pytest.mark.parametrize(
    ("step", "known", "key"),
    [
        (graph(), spec("rows", -1, 5), "inputs/0"),
        (graph(), spec("rows", 4), "inputs/0"),
        (graph(), spec("rows", -1, 4, dtype="FP64"), "inputs/0"),
        (graph(inputs=[X, X]), spec("rows", -1, 4), "inputs/1/name"),
        (graph(outputs=[Y, tensor("y", "other", -1, 4)]), spec("rows", -1, 4), "outputs/1/name"),
        (graph(outputs=[Y, tensor("z", "more", -1, 4)]), spec("rows", -1, 4), "outputs/1/tensor"),
    ],
)
def test_declarations_that_do_not_fit_name_the_place(step, known, key):
    with pytest.raises(MisfitError) as caught:
        step.gives({"rows": known})
    assert caught.value.key == key
