"""Pipelines in real workers: every step with nothing but what a worker has, images that are sent as files, and graphs."""

import asyncio
import io
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edged.errors import DeadlineError, ModelLoadError, TensorError, UnsafeModelError
from edged.host.template import Template
from edged.pipeline.kernels import compile_stage
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import DecodeImage, Graph, Layout, Normalize, Resize, Scale, ScaleBoxes
from edged.pipeline.steps.graph import GraphTensor
from edged.worker import landlock, seccomp
from edged.worker import template as template_process
from edged.worker.arrays import to_array, to_tensor
from tests.fakes import models
from tests.fakes.confined_steps import Outcome
from tests.fakes.patience import PATIENCE_S
from tests.fakes.steps import no_graphs
from tests.fakes.workers import opened, spec_of, worker_spec
from tests.golden.pipeline.vectors import load, read
from tests.unit.pipeline.test_golden import OPS, assert_same

TOP = Path(__file__).resolve().parents[2]
MEMORY_BYTES = 256 << 20
FOREVER = 2**40


@pytest.fixture(scope="module")
def confined():
    """What all steps give in a process that has given up files and system calls."""
    command = [sys.executable, "-P", "-m", "tests.fakes.confined_steps"]
    environment = {"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"}
    ran = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
    return msgspec.json.decode(ran.stdout, type=Outcome)


def test_steps_are_computed_with_all_that_a_worker_gives_up(confined):
    files, calls = confined.missing

    try:
        landlock.read_abi()
    except OSError:
        assert files is not None
    else:
        assert files is None
    assert (calls is None) == (seccomp.LIBRARY is not None)


@pytest.mark.parametrize("op", OPS)
def test_a_step_needs_nothing_that_a_worker_has_not(confined, op):
    """No file, no module that is imported late, no thread, no deep stack."""
    vectors = load(op)
    for made, given in zip(vectors.cases, confined.given[op], strict=True):
        assert not isinstance(given, str), f"{made.name}: {given}"
        for name, golden in made.outputs.items():
            assert_same(read(given[name]), read(golden), vectors.tolerance)


@pytest.fixture
async def template():
    async with asyncio.timeout(PATIENCE_S):
        async with Template() as template:
            yield template


@asynccontextmanager
async def started(template, tmp_path, spec, *contents):
    with opened(tmp_path, *contents) as descriptors:
        worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
    async with worker:
        yield worker


def brightest_model():
    """A detector of sorts: ``boxes`` [1, 1, 4] is all of ``image`` [1, 3, 64, 64], ``light`` [1, 3] the mean of each channel."""
    nodes = [
        models.helper.make_node("ReduceMean", ["image"], ["light"], axes=[2, 3], keepdims=0),
        models.helper.make_node("Identity", ["whole"], ["boxes"]),
    ]
    return models.build(
        nodes,
        [("image", models.FLOAT, [1, 3, 64, 64])],
        [("boxes", models.FLOAT, [1, 1, 4]), ("light", models.FLOAT, [1, 3])],
        initializers=[models.constant("whole", [[[0, 16, 64, 48]]])],
    ).SerializeToString()


IMAGE_PIPELINE = Pipeline(
    inputs=(spec_of("file", "BYTES", (1,)),),
    pre=(
        DecodeImage(input="file", output="pixels"),
        Resize(input="pixels", output="small", height=64, width=64, fit="letterbox", scale="scale"),
        Normalize(input="small", output="values", scale=1 / 255, mean=(0.5,), std=(0.5,)),
        Layout(input="values", output="image", from_="HWC", to="NCHW"),
    ),
    post=(ScaleBoxes(input="boxes", scale="scale", output="placed", form="xyxy", image="pixels"),),
    outputs=(spec_of("placed", "FP32", (1, 1, 4)), spec_of("light", "FP32", (1, 3))),
)


def image_spec(**fields):
    return worker_spec(
        brightest_model(),
        [spec_of("image", "FP32", (1, 3, 64, 64))],
        [spec_of("boxes", "FP32", (1, 1, 4)), spec_of("light", "FP32", (1, 3))],
        pipeline=IMAGE_PIPELINE,
        memory_limit_bytes=MEMORY_BYTES,
        **fields,
    )


def image_file(kind, width=200, height=100):
    """A photograph of a sunset, more or less."""
    image = pytest.importorskip("PIL.Image")
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows * 255 / height, columns * 255 / width, 128 + 0 * rows], axis=-1).astype(np.uint8)
    target = io.BytesIO()
    image.fromarray(pixels).save(target, kind)
    return target.getvalue()


def as_request(*files):
    content = np.empty(len(files), dtype=object)
    content[:] = files
    return [to_tensor("file", content)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
async def test_a_confined_worker_answers_for_an_image_that_is_sent_as_a_file(template, tmp_path, kind):
    """And says where on it the boxes are, although the model saw a smaller one."""
    file = image_file(kind)
    content = np.empty(1, dtype=object)
    content[0] = file
    small = compile_stage(IMAGE_PIPELINE.pre, {}, no_graphs).run({"file": content})["image"]

    async with started(template, tmp_path, image_spec(), brightest_model()) as worker:
        answer = await worker.infer(as_request(file), timeout_s=PATIENCE_S)
        assert list(worker.unconfined) == [] or not (landlock_is_there() and seccomp.LIBRARY)

    placed, light = map(to_array, answer.outputs)
    assert placed.tolist() == [[[0, 0, 200, 100]]]
    np.testing.assert_allclose(light, small.mean(axis=(2, 3)), atol=1e-5)


def landlock_is_there():
    try:
        return landlock.read_abi() > 0
    except OSError:
        return False


async def test_a_file_that_is_no_image_costs_its_request_only(template, tmp_path):
    broken = bytearray(image_file("JPEG"))
    broken[300:] = b"\xff" * 10

    async with started(template, tmp_path, image_spec(), brightest_model()) as worker:
        for wrong in (b"", b"text", bytes(broken), image_file("PNG")[:-40]):
            with pytest.raises(TensorError, match="decode_image@1"):
                await worker.infer(as_request(wrong), timeout_s=PATIENCE_S)
        raw = to_tensor("image", np.zeros((1, 3, 64, 64), np.float32))
        with pytest.raises(TensorError, match="needs pixels, scale from before it"):
            await worker.infer([raw], timeout_s=PATIENCE_S)
        await worker.infer(as_request(image_file("PNG")), timeout_s=PATIENCE_S)


async def test_only_a_worker_that_takes_images_has_an_image_decoder(template, tmp_path):
    """The template has none to share, and a worker that needs none has no pages of it."""
    add = models.add_model()
    numbers = worker_spec(add, [spec_of("x", "FP32", (-1, 4))], [spec_of("y", "FP32", (-1, 4))])

    async with (
        started(template, tmp_path, numbers, add) as without,
        started(template, tmp_path, image_spec(), brightest_model()) as having,
    ):
        assert [has_decoder(pid) for pid in (template.pid, without.pid, having.pid)] == [False, False, True]


def test_what_workers_share_is_what_costs_little():
    """Each of them would import it after all; what one of them alone needs is none of the others' business."""
    code = "import sys; from edged.worker import template; template.rehearse(); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    modules = {name.removeprefix("edged.pipeline.kernels.") for name in ran.stdout.split()}
    assert modules >= {*template_process.SHARED_STEPS}
    assert not modules & {"image", "audio", "text", "PIL", "numpy.fft", "edged.pipeline.tokenizers"}


def has_decoder(pid):
    return "_imaging" in Path(f"/proc/{pid}/maps").read_text()


def tensor(name, at, dtype, *shape):
    return GraphTensor(name=name, tensor=at, dtype=dtype, shape=shape)


def looping_graph(at):
    """``x`` through a loop of ``times``, as a step that reads ``at`` and writes ``looped``."""
    return Graph(
        file="loop.onnx",
        inputs=(tensor("x", at, "FP32", 1), tensor("times", "times", "INT64", 1)),
        outputs=(tensor("y", "looped", "FP32", 1),),
    )


def looping_spec(*, is_before, **fields):
    """A model between the numbers that are sent and a graph that runs as long as one asks it to; or behind that."""
    one = spec_of("sent", "FP32", (1,)), spec_of("times", "INT64", (1,))
    if is_before:
        pre = (looping_graph("sent"), Scale(input="looped", output="x", gain=1.0))
        pipeline = Pipeline(inputs=one, pre=pre, outputs=(spec_of("y", "FP32", (-1,)),))
    else:
        pipeline = Pipeline(
            inputs=one,
            pre=(Scale(input="sent", output="x", gain=1.0),),
            post=(looping_graph("y"),),
            outputs=(spec_of("looped", "FP32", (1,)),),
        )
    return worker_spec(
        models.identity_model(),
        [spec_of("x", "FP32", (-1,))],
        [spec_of("y", "FP32", (-1,))],
        pipeline=pipeline,
        files={"loop.onnx": models.loop_model()},
        **fields,
    )


def looping(times, value=1.0):
    return [to_tensor("sent", np.full(1, value, np.float32)), to_tensor("times", np.array([times], np.int64))]


@pytest.mark.parametrize("is_before", [True, False], ids=["before the model", "behind it"])
async def test_a_deadline_stops_a_graph_and_the_worker_goes_on(template, tmp_path, is_before):
    """The worker starts no thread for it: it could not, confined as it is."""
    spec = looping_spec(is_before=is_before)
    async with started(template, tmp_path, spec, models.identity_model(), models.loop_model()) as worker:
        threads = threads_of(worker.pid)
        with pytest.raises(DeadlineError, match="no answer within"):
            await worker.infer(looping(FOREVER), timeout_s=0.2)

        result = await worker.infer(looping(3, 7.0), timeout_s=PATIENCE_S)

        assert worker.is_usable
        assert threads_of(worker.pid) == threads

    assert to_array(result.outputs[0]).tolist() == [7]


def threads_of(pid):
    return {path.name for path in Path(f"/proc/{pid}/task").iterdir()}


async def test_a_graph_counts_against_the_memory_of_its_worker(template, tmp_path):
    heavy = models.weighty_model(MEMORY_BYTES)
    step = Graph(file="heavy.onnx", inputs=(tensor("x", "sent", "FP32", -1),), outputs=(tensor("y", "x", "FP32", -1),))
    numbers = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
    pipeline = Pipeline(inputs=(spec_of("sent", "FP32", (-1,)),), pre=(step,), outputs=(numbers[1],))
    spec = worker_spec(
        models.identity_model(),
        numbers[:1],
        numbers[1:],
        pipeline=pipeline,
        files={"heavy.onnx": heavy},
        memory_limit_bytes=MEMORY_BYTES,
    )

    with (
        opened(tmp_path, models.identity_model(), heavy) as descriptors,
        pytest.raises(ModelLoadError, match="memory"),
    ):
        await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)


async def test_an_unsafe_graph_is_refused_before_the_runtime_sees_it(template, tmp_path):
    step = Graph(file="unsafe.onnx", inputs=(tensor("x", "sent", "FP32", -1),), outputs=(tensor("y", "x", "FP32", -1),))
    numbers = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
    pipeline = Pipeline(inputs=(spec_of("sent", "FP32", (-1,)),), pre=(step,), outputs=(numbers[1],))
    unsafe = models.external_data_model()
    spec = worker_spec(
        models.identity_model(), numbers[:1], numbers[1:], pipeline=pipeline, files={"unsafe.onnx": unsafe}
    )

    with (
        opened(tmp_path, models.identity_model(), unsafe) as descriptors,
        pytest.raises(UnsafeModelError, match="outside the model file"),
    ):
        await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
