"""What every backend does, run on ONNX Runtime and on the fake that other tests use."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from edged.errors import BackendError, DeadlineError, IncompatibleError, ModelLoadError, TensorError
from edged.worker.backends.ort import OnnxRuntime
from tests.fakes import models
from tests.fakes.backends import FakeBackend
from tests.fakes.workers import spec_of, variant_of

ADD = models.add_model(1.0)
TEXT = models.identity_model(models.STRING, ("n",))
STRICT = models.reshaping_model()
FLOATS = (spec_of("x", "FP32", (-1, 4)),), (spec_of("y", "FP32", (-1, 4)),)
TEXTS = (spec_of("x", "BYTES", (-1,)),), (spec_of("y", "BYTES", (-1,)),)


def decoded(x):
    for item in x:
        item.decode()
    return {"y": x}


def run(session, x):
    return session.run({"x": x}, session.new_stop())


@pytest.fixture(scope="module", params=["onnxruntime", "fake"])
def backend(request):
    if request.param == "onnxruntime":
        return OnnxRuntime()
    return FakeBackend(
        {ADD: lambda x: {"y": x + np.float32(1)}, TEXT: decoded, STRICT: lambda x: {"y": x.reshape(2, 4)}}
    )


def texts(*items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def test_a_backend_names_itself_and_its_version(backend):
    name, version = backend.runtime.split(" ")

    assert name == "onnxruntime"
    assert version[0].isdigit()


def test_a_session_answers_as_before_after_memory_was_given_back(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))
    x = np.zeros((2, 4), np.float32)

    answers = []
    for _ in range(2):
        answers.append(run(session, x)["y"].tolist())
        backend.shrink()

    assert answers == [[[1.0] * 4] * 2] * 2


def test_a_session_gives_every_output_by_name(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))

    outputs = run(session, np.zeros((2, 4), dtype=np.float32))

    assert set(outputs) == {"y"}
    assert outputs["y"].dtype == np.float32
    assert outputs["y"].tolist() == [[1] * 4] * 2


def test_a_session_keeps_nothing_between_runs(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))
    x = np.zeros((1, 4), dtype=np.float32)

    assert run(session, x)["y"].tolist() == run(session, x)["y"].tolist()


def test_texts_are_bytes_on_both_sides(backend):
    session = backend.load(TEXT, variant_of(TEXT, *TEXTS))

    outputs = run(session, texts(b"", b"plain", "über".encode()))

    assert outputs["y"].dtype == object
    assert outputs["y"].tolist() == [b"", b"plain", "über".encode()]


def test_texts_that_are_not_utf8_are_the_callers_fault(backend):
    session = backend.load(TEXT, variant_of(TEXT, *TEXTS))

    with pytest.raises(TensorError):
        run(session, texts(b"\xff"))


def test_a_failing_run_leaves_the_session_usable(backend):
    session = backend.load(STRICT, variant_of(STRICT, FLOATS[0], [spec_of("y", "FP32", (2, 4))]))

    with pytest.raises(BackendError):
        run(session, np.zeros((3, 4), dtype=np.float32))
    assert run(session, np.zeros((2, 4), dtype=np.float32))["y"].shape == (2, 4)


def test_a_run_that_was_stopped_before_it_began_gives_nothing(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))
    stop = session.new_stop()
    stop.set()
    stop.set()

    with pytest.raises(DeadlineError):
        session.run({"x": np.zeros((1, 4), dtype=np.float32)}, stop)
    assert run(session, np.zeros((1, 4), dtype=np.float32))["y"].tolist() == [[1] * 4]


def test_a_stop_serves_several_runs_one_after_the_other(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))
    stop = session.new_stop()
    x = {"x": np.zeros((1, 4), dtype=np.float32)}

    assert session.run(x, stop)["y"].tolist() == session.run(x, stop)["y"].tolist()
    stop.set()
    with pytest.raises(DeadlineError):
        session.run(x, stop)


def test_a_graph_of_a_step_runs_as_a_model_does_and_stops_with_it(backend):
    """One request runs both, and has one stop."""
    graph, session = backend.load_graph(ADD, *FLOATS), backend.load(ADD, variant_of(ADD, *FLOATS))
    stop = session.new_stop()
    x = {"x": np.zeros((1, 4), dtype=np.float32)}

    between = {"x": graph.run(x, stop)["y"]}
    assert session.run(between, stop)["y"].tolist() == [[2] * 4]
    stop.set()
    for each in (graph, session):
        with pytest.raises(DeadlineError):
            each.run(x, stop)


def test_a_graph_that_is_none_is_refused(backend):
    with pytest.raises(ModelLoadError, match="the graph that gives y"):
        backend.load_graph(b"\x08\x08\x3a\x04\x0a\x02\x22\x00", *FLOATS)


def test_inputs_may_be_read_only_and_stay_what_they_were(backend):
    """They lie in memory that the worker can only read."""
    session = backend.load(ADD, variant_of(ADD, *FLOATS))
    x = np.ndarray((2, 4), np.float32, bytes(32))

    assert not x.flags.writeable
    assert run(session, x)["y"].tolist() == [[1] * 4] * 2
    assert not x.any()


def test_several_threads_may_run_one_session(backend):
    session = backend.load(ADD, variant_of(ADD, *FLOATS))

    def add(i):
        return run(session, np.full((1, 4), i, dtype=np.float32))["y"][0, 0]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(add, range(200))) == [i + 1 for i in range(200)]


def test_a_model_that_is_none_is_refused(backend):
    # A whole protobuf message with a graph in it that no runtime would run.
    broken = b"\x08\x08\x3a\x04\x0a\x02\x22\x00"

    with pytest.raises(ModelLoadError):
        backend.load(broken, variant_of(broken, *FLOATS))


def test_a_runtime_version_out_of_range_is_refused(backend):
    with pytest.raises(IncompatibleError, match="needs onnxruntime"):
        backend.load(ADD, variant_of(ADD, *FLOATS, runtime=">=1.0,<1.1"))


def test_other_providers_are_refused_by_onnx_runtime():
    """Only the CPU is offered; a variant for anything else says so before it runs slowly."""
    variant = variant_of(ADD, *FLOATS)
    variant = msgspec.structs.replace(variant, runtime=msgspec.structs.replace(variant.runtime, providers=("Nope",)))

    with pytest.raises(IncompatibleError, match="Nope"):
        OnnxRuntime().load(ADD, variant)


@pytest.mark.parametrize(
    ("inputs", "outputs", "match"),
    [
        ((spec_of("z", "FP32", (-1, 4)),), FLOATS[1], "inputs are z, the model's x"),
        ((*FLOATS[0], spec_of("z", "FP32", (1,))), FLOATS[1], "inputs are x, z"),
        (FLOATS[0], (spec_of("z", "FP32", (-1, 4)),), "outputs are z, the model's y"),
        ((spec_of("x", "INT32", (-1, 4)),), FLOATS[1], r"x is INT32 \[-1, 4\] in the manifest, FP32"),
        ((spec_of("x", "FP32", (-1, 5)),), FLOATS[1], r"x is FP32 \[-1, 5\]"),
        ((spec_of("x", "FP32", (-1, -1)),), FLOATS[1], r"x is FP32 \[-1, -1\]"),
        ((spec_of("x", "FP32", (4,)),), FLOATS[1], r"x is FP32 \[4\]"),
    ],
)
def test_onnx_runtime_compares_the_manifest_with_the_model(inputs, outputs, match):
    with pytest.raises(ModelLoadError, match=match):
        OnnxRuntime().load(ADD, variant_of(ADD, inputs, outputs))


def test_a_manifest_may_fix_an_axis_the_model_leaves_open():
    inputs, outputs = (spec_of("x", "FP32", (1, 4)),), (spec_of("y", "FP32", (1, 4)),)

    OnnxRuntime().load(ADD, variant_of(ADD, inputs, outputs))
