"""Graphs among the steps run when it is their request's turn, and end with it."""

import threading

import numpy as np
import pytest

from edged.errors import BackendError, DeadlineError
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import Graph
from edged.pipeline.steps.graph import GraphTensor
from edged.worker.arrays import to_tensor
from edged.worker.model import load_model
from tests.fakes.backends import Blocking, FakeBackend
from tests.fakes.clocks import ManualClock
from tests.fakes.near_ends import NearEnd
from tests.fakes.workers import item_of, opened, pin, spec_of, worker_spec

MODEL, BEFORE, BEHIND = b"the model", b"the graph before it", b"the graph behind it"


def tensor(name, at):
    return GraphTensor(name=name, tensor=at, dtype="FP32", shape=(-1,))


def specification(**fields):
    """``sent`` through one graph, the model and another graph to ``answer``."""
    pipeline = Pipeline(
        inputs=(spec_of("sent", "FP32", (-1,)),),
        pre=(Graph(file="before.onnx", inputs=(tensor("x", "sent"),), outputs=(tensor("y", "x"),)),),
        post=(Graph(file="behind.onnx", inputs=(tensor("x", "y"),), outputs=(tensor("y", "answer"),)),),
        outputs=(spec_of("answer", "FP32", (-1,)),),
    )
    spec = worker_spec(MODEL, [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))], pipeline=pipeline, **fields)
    graphs = (pin("before.onnx", BEFORE, "graph"), pin("behind.onnx", BEHIND, "graph"))
    return type(spec)(**{name: getattr(spec, name) for name in spec.__struct_fields__} | {"files": spec.files + graphs})


def backend(before=lambda x: {"y": x + 1}, model=lambda x: {"y": x * 10}, behind=lambda x: {"y": x + 5}):
    return FakeBackend({MODEL: model, BEFORE: before, BEHIND: behind})


def near_end(tmp_path, *functions, **fields):
    return NearEnd(specification(**fields), backend(*functions), tmp_path, MODEL, BEFORE, BEHIND)


def sent(*values):
    return to_tensor("sent", np.array(values, dtype=np.float32))


def test_graphs_run_on_both_sides_of_the_model(tmp_path):
    with near_end(tmp_path) as near:
        near.load()

        assert near.ask([sent(1, 2)])[0]["answer"].tolist() == [25, 35]


def test_whoever_executes_for_a_request_executes_its_graphs(tmp_path):
    """And nobody does for another one's, also where threads answer at the same time."""
    with opened(tmp_path, MODEL, BEFORE, BEHIND) as descriptors:
        model = load_model(specification(), descriptors, backend(), clock=ManualClock().monotonic_s)
    both = threading.Barrier(2)
    executed = {"a": [], "b": []}

    def answer(name):
        def execute(session, inputs):
            both.wait(30)
            executed[name].append(session)
            return session.run(inputs, session.new_stop())

        (result,) = model.answer([model.question(*item_of(sent(1)))], execute)
        assert result["answer"].tolist() == [25]

    threads = [threading.Thread(target=answer, args=(name,)) for name in executed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert executed["a"] == executed["b"]
    assert [session is model.session for session in executed["a"]] == [False, True, False]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["before", "model", "behind"])
def test_a_stop_ends_a_request_wherever_it_is(tmp_path, place):
    blocking = Blocking()
    functions = [lambda x: {"y": x}] * 3
    functions[place] = blocking
    with near_end(tmp_path, *functions) as near:
        near.load()
        near.send(1, [sent(1)])
        assert blocking.begun[1].wait(30)

        near.stop(1)

        assert near.answers()[1][0].code == DeadlineError.code
        blocking.may_end[2].set()
        assert near.ask([sent(2)], run=2)[0]["answer"].tolist() == [2]


def test_no_more_runs_than_allowed_are_in_the_model_and_the_graphs_together(tmp_path):
    """A graph takes a core as the model does; two requests never take two where one is allowed."""
    blocking = Blocking()
    with near_end(tmp_path, blocking, parallel=1) as near:
        near.load()
        near.send(1, [sent(1)])
        assert blocking.begun[1].wait(30)
        near.send(2, [sent(2)])
        near.stop(2)

        # It was stopped in the line: had it got into the graph, the answer would be no sooner than the end of that.
        assert near.answers()[0] == 2
        assert not blocking.begun[2].is_set()
        blocking.may_end[1].set()
        assert near.answers()[1][0]["answer"].tolist() == [15]


def test_a_graph_that_fails_costs_its_request_only(tmp_path):
    def before(x):
        if x[0] == 13:
            raise ValueError("13")
        return {"y": x}

    with near_end(tmp_path, before, max_rows=8) as near:
        near.load()

        first, bad, last = near.ask([sent(1)], [sent(13)], [sent(3)])

        assert (first["answer"].tolist(), last["answer"].tolist()) == ([15], [35])
        assert (bad.code, bad.message) == (BackendError.code, "13")
