"""Version ranges, what the library is told, stopping it, and what importing it does to the process."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edged.bundle.manifest import Session
from edged.errors import BackendError, DeadlineError
from edged.footprint import trim
from edged.onnx.safety import check_model
from edged.worker.backends import ort
from edged.worker.backends.ort import OnnxRuntime, OnnxSession, load_library, session_options
from edged.worker.backends.surplus import MIN_BYTES
from tests.fakes import models
from tests.fakes.backends import FakeStop
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of, variant_of


def test_the_library_starts_without_usage_reporting_and_without_a_word(capfd):
    """The wheels report usage unless told not to before they initialise; Debian's build prints hundreds of lines."""
    load_library.cache_clear()
    load_library()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert capfd.readouterr().err == ""


def test_the_model_the_library_is_warmed_up_with_is_a_safe_one():
    check_model(ort._SMALLEST_MODEL)


def loading(model, inputs, outputs, **changes):
    return OnnxRuntime().load(model, msgspec.structs.replace(variant_of(model, inputs, outputs), **changes))


@pytest.fixture
def looping():
    return loading(
        models.loop_model(),
        [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))],
        [spec_of("y", "FP32", (1,))],
    )


def times(count):
    return {"x": np.ones(1, np.float32), "times": np.array([count], np.int64)}


def test_a_run_of_hours_is_stopped_and_the_session_goes_on(looping):
    stop = looping.new_stop()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(looping.run, times(1 << 40), stop)
        stop.set()

        with pytest.raises(DeadlineError):
            running.result(PATIENCE_S)
    assert looping.run(times(3), looping.new_stop())["y"].tolist() == [1]


def test_stopping_one_run_leaves_those_beside_it(looping):
    stop, other = looping.new_stop(), looping.new_stop()
    with ThreadPoolExecutor(2) as threads:
        stopped = threads.submit(looping.run, times(1 << 40), stop)
        going = threads.submit(looping.run, times(1 << 40), other)
        stop.set()
        with pytest.raises(DeadlineError):
            stopped.result(PATIENCE_S)
        assert not going.done()
        other.set()


def test_a_failed_or_stopped_run_says_so_to_its_caller_and_not_to_the_journal(looping, capfd):
    stop = looping.new_stop()
    stop.set()
    with pytest.raises(DeadlineError):
        looping.run(times(1), stop)
    model = models.reshaping_model()
    reshaping = loading(model, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (2, 4))])
    with pytest.raises(BackendError):
        reshaping.run({"x": np.zeros((3, 4), np.float32)}, reshaping.new_stop())

    assert capfd.readouterr().err == ""


def test_a_stop_of_another_backend_is_a_mistake(looping):
    with pytest.raises(TypeError):
        looping.run(times(1), FakeStop())


def test_threads_and_spinning_are_what_the_variant_says():
    def of(settings):
        options = session_options(load_library(), settings)
        return options.intra_op_num_threads, options.get_session_config_entry("session.intra_op.allow_spinning")

    assert of(Session()) == (1, "0")
    assert of(Session(threads=3, spinning=True)) == (3, "1")


def test_a_variant_may_ask_for_several_threads():
    before = set(threading.enumerate())
    model = models.add_model()
    session = loading(
        model, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))], session=Session(threads=2)
    )

    assert session.run({"x": np.zeros((1, 4), np.float32)}, session.new_stop())["y"].tolist() == [[1] * 4]
    assert set(threading.enumerate()) <= before  # they are the library's own


class Recorder:
    """A session of the library that notes which of its runs give memory back."""

    def __init__(self):
        self.gave_back = []

    def run(self, names, feed, options):
        try:
            self.gave_back.append(options.get_run_config_entry(ort.GIVE_BACK[0]) == ort.GIVE_BACK[1])
        except RuntimeError:  # there is no such entry
            self.gave_back.append(False)
        if feed["x"].size == 0:
            raise RuntimeError("no memory")
        return [feed["x"]]


def test_a_session_keeps_no_copy_of_its_file():
    """The library would, for as long as the session lives."""
    model = models.weighty_model(1 << 20)
    before = sys.getrefcount(model)
    session = loading(model, [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))])

    assert sys.getrefcount(model) == before
    del session


def test_memory_is_given_back_after_an_unusually_large_run_and_after_a_failed_one():
    recorder = Recorder()
    variant = variant_of(b"", [spec_of("x", "FP32", (-1,))], [spec_of("x", "FP32", (-1,))])
    session = OnnxSession(load_library(), recorder, variant.id, variant.inputs, variant.outputs, in_place=frozenset())

    for size in (4, 4, MIN_BYTES, 4, 0, 4, 4):
        try:
            session.run({"x": np.zeros(size, np.float32)}, session.new_stop())
        except BackendError:
            assert not size

    assert recorder.gave_back == [False, False, True, True, False, True, False]


def test_no_memory_is_given_back_for_a_run_that_was_stopped():
    recorder = Recorder()
    variant = variant_of(b"", [spec_of("x", "FP32", (-1,))], [spec_of("x", "FP32", (-1,))])
    session = OnnxSession(load_library(), recorder, variant.id, variant.inputs, variant.outputs, in_place=frozenset())
    stop = session.new_stop()
    stop.set()

    session.run({"x": np.zeros(4, np.float32)}, session.new_stop())
    with pytest.raises(DeadlineError):
        session.run({"x": np.zeros(0, np.float32)}, stop)
    session.run({"x": np.zeros(4, np.float32)}, session.new_stop())

    assert recorder.gave_back == [False, False, False]


def resident_bytes():
    """Memory that is there, because that is what a small device runs out of."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_memory_of_one_large_run_returns_to_the_system():
    model = models.allocating_model()
    session = loading(model, [spec_of("count", "INT64", (1,))], [spec_of("y", "FP32", (-1,))])

    def make(count):
        session.run({"count": np.array([count], np.int64)}, session.new_stop())

    make(10)
    before = resident_bytes()
    make(64 << 20)  # 256 MB of zeros
    make(10)

    assert resident_bytes() - before < 64 << 20


def test_memory_that_usual_runs_leave_behind_returns_when_it_is_asked_for():
    model = models.allocating_model()
    backend = OnnxRuntime()
    session = backend.load(model, variant_of(model, [spec_of("count", "INT64", (1,))], [spec_of("y", "FP32", (-1,))]))

    def make():
        return session.run({"count": np.array([16 << 20], np.int64)}, session.new_stop())["y"]

    for _ in range(3):
        made = make()
        del made
    before = resident_bytes()
    backend.shrink()
    trim()

    assert before - resident_bytes() > 32 << 20
    assert make().size == 16 << 20
