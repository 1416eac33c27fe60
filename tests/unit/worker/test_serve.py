"""A worker's life: loading, confining itself, runs in several threads, stops, and the end."""

import os
import queue
import threading

import numpy as np
import pytest

from edged.errors import ModelLoadError
from edged.runtime.wire import Load, Loaded, LoadFailed, SequenceLimits, Step, Stop, WireError
from edged.worker.arrays import to_tensor
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.rest import LOOK_S
from edged.worker.sequences import Sequences
from edged.worker.serve import SPARE_THREADS, Confinement
from tests.fakes import models
from tests.fakes.backends import Blocking, FakeBackend
from tests.fakes.near_ends import NearEnd, outputs_of
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of, with_pin, worker_spec

MODEL = b"the model"
X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))


def worker(tmp_path, function, *, inputs=(X,), outputs=(Y,), **fields):
    spec = worker_spec(MODEL, inputs, outputs, **fields)
    return NearEnd(spec, FakeBackend({MODEL: function}), tmp_path, MODEL)


def wait_for_one(model):
    """Wait until a run of a blocking model has begun, and return its name."""
    while True:
        for name, begun in enumerate(model.begun):
            if begun.is_set():
                return name
        os.sched_yield()


def floats(*values):
    return to_tensor("x", np.array(values, dtype=np.float32))


def test_a_worker_says_what_it_loaded(tmp_path):
    with worker(tmp_path, lambda x: {"y": x}) as near:
        loaded = near.load()

    assert isinstance(loaded, Loaded)
    assert (loaded.runtime, loaded.unconfined) == ("onnxruntime 1.21.0", ())
    assert loaded.load_s > 0


def test_a_worker_gives_up_files_before_it_loads_and_calls_and_memory_when_all_threads_run(tmp_path):
    order = []

    class Watching(FakeBackend):
        def load(self, model, variant):
            order.append("load")
            return super().load(model, variant)

    def filter_calls():
        order.append(sum(thread.name.startswith("run") for thread in threading.enumerate()))
        return "no filter"

    def forbid_files():
        order.append("forbid_files")
        return "no Landlock"

    spec = worker_spec(MODEL, [X], [Y], parallel=3)
    confinement = Confinement(forbid_files=forbid_files, filter_calls=filter_calls)
    backend = Watching({MODEL: lambda x: {"y": x}})
    with NearEnd(
        spec, backend, tmp_path, MODEL, confinement=confinement, settle=lambda: order.append("settle")
    ) as near:
        loaded = near.load()

    assert order == ["forbid_files", "load", 3 + SPARE_THREADS, "settle"]
    assert loaded.unconfined == ("no Landlock", "no filter")


def test_a_model_that_cannot_be_loaded_is_reported_and_ends_the_worker(tmp_path):
    spec = with_pin(worker_spec(MODEL, [X], [Y]), sha256="0" * 64)
    with NearEnd(spec, FakeBackend({}), tmp_path, MODEL) as near:
        report = near.load()
        assert near.control.recv(1) == b""

    assert isinstance(report, LoadFailed)
    assert report.code == "digest-mismatch"


def test_a_model_too_large_for_its_limit_is_reported(tmp_path):
    class Full(FakeBackend):
        def load(self, model, variant):
            raise MemoryError

    with NearEnd(worker_spec(MODEL, [X], [Y]), Full({}), tmp_path, MODEL) as near:
        report = near.load()

    assert report.code == ModelLoadError.code
    assert "memory limit of" in report.message


def test_a_worker_that_is_closed_before_it_loads_ends(tmp_path):
    with worker(tmp_path, lambda x: {"y": x}):
        pass


@pytest.mark.parametrize("messages", [[Stop(run=1)], ["load", "load"]])
def test_a_daemon_that_breaks_the_protocol_ends_the_worker(tmp_path, messages):
    with worker(tmp_path, lambda x: {"y": x}) as near:
        for message in messages:
            near.tell(Load(spec=near.spec) if message == "load" else message)

        assert isinstance(near.mistake(), WireError)


def test_as_many_runs_as_allowed_execute_at_once(tmp_path):
    """Neither can pass the barrier without the other."""
    barrier = threading.Barrier(2)

    def model(x):
        barrier.wait(PATIENCE_S)
        return {"y": x}

    with worker(tmp_path, model, parallel=2) as near:
        near.load()
        near.send(1, [floats(1)])
        near.send(2, [floats(2)])

        assert sorted([near.answers()[0], near.answers()[0]]) == [1, 2]


def test_no_more_runs_than_allowed_execute_at_once(tmp_path):
    model = Blocking()
    with worker(tmp_path, model, parallel=1) as near:
        near.load()
        for name in (1, 2, 3):
            near.send(name, [floats(name)])
        for _ in range(3):
            begun = wait_for_one(model)
            assert [name for name in range(10) if model.begun[name].is_set()] == [begun]
            model.begun[begun].clear()
            model.may_end[begun].set()
            assert near.answers()[0] == begun


def test_errors_answer_their_request_and_the_worker_goes_on(tmp_path):
    def model(x):
        if not len(x):
            raise ValueError("nothing")
        return {"y": x}

    with worker(tmp_path, model) as near:
        near.load()
        (failed,) = near.ask([floats()])
        (unknown,) = near.ask([floats(1)], run=2, outputs=["z"])
        (good,) = near.ask([floats(1)], run=3)

    assert (failed.code, failed.message) == ("backend-failed", "nothing")
    assert unknown.code == "tensor-invalid"
    assert good["y"].tolist() == [1]


def test_several_requests_of_one_message_are_answered_in_order_each_by_itself(tmp_path):
    rows = spec_of("x", "FP32", (-1, 1)), spec_of("y", "FP32", (-1, 1))
    calls = []

    def model(x):
        calls.append(len(x))
        return {"y": x * 2}

    with worker(tmp_path, model, inputs=rows[:1], outputs=rows[1:], max_rows=8) as near:
        near.load()
        answers = near.ask(
            [to_tensor("x", np.array([[1], [2]], np.float32))],
            [to_tensor("x", np.array([[3]], np.float64))],
            [to_tensor("x", np.array([[4]], np.float32))],
        )

    assert outputs_of([answers[0], answers[2]]) == [{"y": [[2], [4]]}, {"y": [[8]]}]
    assert answers[1].code == "tensor-invalid"
    assert calls == [3]


def test_a_sequence_goes_on_over_several_runs(tmp_path):
    h, g = spec_of("h", "FP32", (1,)), spec_of("g", "FP32", (1,))

    def model(x, h):
        return {"y": x + h, "g": x + h}

    def step(*, start=False):
        return Step(uid=1, id="a", is_start=start, is_end=False)

    with worker(tmp_path, model, inputs=[X, h], outputs=[Y, g], state={"h": "g"}, parallel=2) as near:
        near.load()
        sums = [near.ask([floats(i)], run=i, sequence=step(start=i == 1))[0]["y"].tolist() for i in range(1, 5)]
        (refused,) = near.ask([floats(1)], run=9, sequence=Step(uid=2, id="a", is_start=False, is_end=False))

    assert sums == [[1], [3], [6], [10]]
    assert refused.code == "sequence-unknown"


def test_a_run_is_stopped_while_others_go_on(tmp_path):
    model = Blocking()
    with worker(tmp_path, model, parallel=2) as near:
        near.load()
        for name in (1, 2):
            near.send(name, [floats(name)])
            assert model.begun[name].wait(PATIENCE_S)

        near.stop(1)
        number, (stopped,) = near.answers()
        model.may_end[2].set()
        other, (good,) = near.answers()

    assert (number, stopped.code) == (1, "deadline-exceeded")
    assert (other, good["y"].tolist()) == (2, [2])


def test_a_run_that_waits_for_its_turn_is_stopped_at_once_and_never_executes(tmp_path):
    model = Blocking()
    with worker(tmp_path, model, parallel=1) as near:
        near.load()
        near.send(1, [floats(1)])
        assert model.begun[1].wait(PATIENCE_S)
        near.send(2, [floats(2)])

        near.stop(2)
        number, (stopped,) = near.answers()
        model.may_end[1].set()
        other, _ = near.answers()

    assert (number, stopped.code, other) == (2, "deadline-exceeded", 1)
    assert not model.begun[2].is_set()


def test_a_model_that_runs_in_a_loop_is_stopped_and_its_worker_goes_on(tmp_path):
    """ONNX Runtime's own stop, with a model that would run for hours."""
    model = models.loop_model()
    inputs, outputs = [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))], [spec_of("y", "FP32", (1,))]

    def times(count):
        return [floats(7), to_tensor("times", np.array([count], np.int64))]

    with NearEnd(worker_spec(model, inputs, outputs), OnnxRuntime(), tmp_path, model) as near:
        near.load()
        near.send(1, times(1 << 40))
        near.stop(1)
        number, (stopped,) = near.answers()
        (good,) = near.ask(times(3), run=2)

    assert (number, stopped.code) == (1, "deadline-exceeded")
    assert good["y"].tolist() == [7]


def test_a_mistake_in_a_thread_is_never_silent(tmp_path):
    """The process ends with it (``test_worker_process``); a thread that is missing would be noticed by nobody."""

    def model(x):
        raise KeyError("nobody foresaw this")

    with worker(tmp_path, model) as near:
        near.load()
        near.send(1, [floats(1)])

        assert isinstance(near.mistake(), KeyError)


def test_a_broken_message_on_the_runs_channel_ends_the_worker(tmp_path):
    with worker(tmp_path, lambda x: {"y": x}) as near:
        near.load()
        near.runs.send(b"nonsense")

        assert isinstance(near.mistake(), WireError)


def test_a_daemon_that_leaves_in_the_middle_of_a_run_leaves_nothing_behind(tmp_path):
    model = Blocking()
    with worker(tmp_path, model) as near:
        near.load()
        near.send(1, [floats(1)])
        assert model.begun[1].wait(PATIENCE_S)
        near.runs.close()
        near.control.close()
        model.may_end[1].set()


def test_states_that_nobody_continues_are_freed_while_nothing_comes(tmp_path):
    h, g = spec_of("h", "FP32", (1,)), spec_of("g", "FP32", (1,))
    limits = SequenceLimits(most=1, most_per_caller=1, most_bytes=1000, idle_s=0.001)
    start = Step(uid=1, id=1, is_start=True, is_end=False)
    swept = threading.Event()

    class Watched(Sequences):
        def sweep(self):
            super().sweep()
            if not self._known:
                swept.set()

    with (
        pytest.MonkeyPatch.context() as patch,
        worker(
            tmp_path, lambda x, h: {"y": x, "g": x}, inputs=[X, h], outputs=[Y, g], state={"h": "g"}, sequences=limits
        ) as near,
    ):
        patch.setattr("edged.worker.model.Sequences", Watched)
        near.load()
        near.ask([floats(1)], sequence=start)

        assert swept.wait(PATIENCE_S)


@pytest.mark.parametrize(("idle_s", "with_state_s"), [(1.0, 1.0), (60.0, LOOK_S)])
def test_only_a_worker_with_states_wakes_up_as_often_as_those_are_forgotten(tmp_path, idle_s, with_state_s):
    h, g = spec_of("h", "FP32", (1,)), spec_of("g", "FP32", (1,))
    limits = SequenceLimits(most=1, most_per_caller=1, most_bytes=1000, idle_s=idle_s)
    with worker(tmp_path, lambda x: {"y": x}, sequences=limits) as near:
        near.load()
        assert near.looks_every_s == LOOK_S

    stateful = {"inputs": [X, h], "outputs": [Y, g], "state": {"h": "g"}}
    with worker(tmp_path, lambda x, h: {"y": x, "g": x}, sequences=limits, **stateful) as near:
        near.load()
        assert near.looks_every_s == with_state_s


def test_what_runs_needed_is_given_back_when_nothing_comes_any_more(tmp_path, monkeypatch):
    monkeypatch.setattr("edged.worker.serve.LOOK_S", 0.001)
    monkeypatch.setattr("edged.worker.rest.REST_S", 0.0)
    settled = queue.SimpleQueue()
    spec, backend = worker_spec(MODEL, [X], [Y]), FakeBackend({MODEL: lambda x: {"y": x}})
    with NearEnd(spec, backend, tmp_path, MODEL, settle=lambda: settled.put("settled")) as near:
        near.load()
        assert settled.get(timeout=PATIENCE_S), "after loading"
        for _ in range(2):
            near.ask([floats(1)])
            assert settled.get(timeout=PATIENCE_S), "after a run"

    assert settled.empty()
