"""A worker in a process of its own: it works with what it had when it began, and never ends without a word."""

import numpy as np
import pytest

from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, Softmax, TopK
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import Loaded, LoadFailed, Step
from edged.worker.arrays import to_tensor
from tests.fakes import models
from tests.fakes.near_ends import OtherProcess, in_segment
from tests.fakes.workers import item_of, spec_of, with_pin, worker_spec

LABELS = b"zero\none\ntwo\n"


def floats(name, *values):
    return to_tensor(name, np.array(values, dtype=np.float32))


def texts(name, *items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return to_tensor(name, array)


def classify(tmp_path):
    """Every step there is, several requests at once, and such that fail before, in and behind the model."""
    model = models.classifier_model()
    inputs, outputs = [spec_of("bytes", "INT32", (-1, 8))], [spec_of("scores", "FP32", (-1, 3))]
    pipeline = Pipeline(
        inputs=(spec_of("content", "BYTES", (1,)),),
        pre=(BytesWindow(input="content", output="bytes", begin=4, end=4, block=16, padding=-1),),
        post=(
            Softmax(input="scores", output="shares"),
            TopK(input="shares", values="best", indices="index", k=1),
            Labels(input="index", output="label", file="labels.txt"),
        ),
        outputs=(spec_of("label", "BYTES", (-1, 1)), spec_of("best", "FP32", (-1, 1))),
    )
    spec = worker_spec(model, inputs, outputs, pipeline=pipeline, files={"labels.txt": LABELS}, max_rows=8, parallel=2)
    with OtherProcess(spec, "watched", tmp_path, model, LABELS) as far:
        assert isinstance(far.load(), Loaded)
        answers = far.ask([texts("content", b"\1\1")], [texts("content", b"\2\2")], [texts("content", b"", b"")])
        assert [answers[0]["label"].tolist(), answers[1]["label"].tolist()] == [[[b"one"]], [[b"two"]]]
        assert answers[2].code == "tensor-invalid"
        assert far.ask([floats("x", 1)], run=2)[0].code == "tensor-invalid"
        return far.end()


def echo_texts(tmp_path):
    """Texts that are UTF-8, and such that are not."""
    model = models.identity_model(models.STRING, ("n",))
    spec = worker_spec(model, [spec_of("x", "BYTES", (-1,))], [spec_of("y", "BYTES", (-1,))])
    with OtherProcess(spec, "watched", tmp_path, model) as far:
        far.load()
        assert far.ask([texts("x", b"plain", "über".encode())])[0]["y"].tolist() == [b"plain", "über".encode()]
        assert far.ask([texts("x", b"\xff")], run=2)[0].code == "tensor-invalid"
        return far.end()


def stop_and_fail(tmp_path):
    model = models.loop_model()
    inputs = [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))]
    spec = worker_spec(model, inputs, [spec_of("y", "FP32", (1,))])
    with OtherProcess(spec, "watched", tmp_path, model) as far:
        far.load()
        far.send(1, [floats("x", 1), to_tensor("times", np.array([1 << 40], np.int64))])
        far.stop(1)
        assert far.answers()[1][0].code == "deadline-exceeded"
        return far.end()


def share_memory_and_keep_states(tmp_path):
    model = models.add_model()
    x, y = spec_of("x", "FP32", (-1, 4)), spec_of("y", "FP32", (-1, 4))
    pool = SharedMemory(max_bytes=lambda: 64 << 20)
    rows = to_tensor("x", np.zeros((10_000, 4), np.float32))
    segment, room = pool.take(1 << 20), pool.take_room(1 << 20)
    with OtherProcess(worker_spec(model, [x], [y], state={"x": "y"}), "watched", tmp_path, model) as far:
        far.load()
        far.send_items(1, [in_segment(segment, rows)], pieces=[segment])
        ran, _ = far.receive()
        far.give(1, far.place(room), pieces=[room])
        assert far.answers()[1][0]["y"].shape == (10_000, 4)
        assert ran.room_bytes == (160_000,)
        far.unmap(segment)
        item, parts = item_of(sequence=Step(uid=1, id="a", is_start=True, is_end=False))
        far.send_items(2, [item], parts)
        assert far.answers()[1][0]["y"].tolist() == [[1] * 4]
        return far.end()


def refuse_a_model(tmp_path):
    spec = worker_spec(models.add_model(), [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])
    with OtherProcess(with_pin(spec, sha256="0" * 64), "watched", tmp_path, models.add_model()) as far:
        assert isinstance(far.load(), LoadFailed)
        return far.end()


@pytest.mark.parametrize(
    "use",
    [classify, echo_texts, stop_and_fail, share_memory_and_keep_states, refuse_a_model],
    ids=lambda use: use.__name__,
)
def test_a_worker_needs_no_file_that_it_was_not_handed(tmp_path, use):
    """Once it is confined it could open none; a module that is imported late would fail with whatever needed it."""
    assert use(tmp_path) == (0, "")


def test_a_worker_that_fails_says_why_although_it_cannot_read_its_own_source(tmp_path):
    model = models.add_model()
    spec = worker_spec(model, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])
    with OtherProcess(spec, "confined", tmp_path, model) as far:
        far.load()
        far.runs.send(b"nonsense")
        assert far.runs.recv(1) == b""
        status, said = far.end()

    assert status == 1
    assert "WireError" in said


def test_a_worker_ends_with_its_control_channel_whatever_it_does(tmp_path):
    model = models.loop_model()
    inputs = [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))]
    with OtherProcess(worker_spec(model, inputs, [spec_of("y", "FP32", (1,))]), "confined", tmp_path, model) as far:
        far.load()
        far.send(1, [floats("x", 1), to_tensor("times", np.array([1 << 40], np.int64))])
        status, _ = far.end()

    assert status == 0
