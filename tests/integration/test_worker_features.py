"""What steps before a model make of a request, from a worker of one variant to that of another: confined, with graphs and memory."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from edged.daemon.cache.features import borrowed_beside
from edged.host.template import Template
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import Graph, Layout, NonMaximumSuppression, Normalize, Resize, ScaleBoxes
from edged.pipeline.steps.graph import GraphTensor
from edged.runtime.calls import Features, Request
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import Tensor
from edged.worker.arrays import to_array, to_tensor
from tests.fakes import models
from tests.fakes.models import add_model
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, worker_spec

SIDE, CELL = 64, 8
ROUNDED_BYTES = 2 << 20
"""At least what 100,000 rows take of shared memory; rows and what is made of them take more than twice that together."""
SENT, X, Y = (spec_of(name, "FP32", (-1, 4)) for name in ("sent", "x", "y"))
GRAPH = add_model(0.1)
PIPELINE = Pipeline(
    inputs=(SENT,),
    pre=(
        Graph(
            file="graph.onnx",
            inputs=(GraphTensor(name="x", dtype="FP32", shape=(-1, 4), tensor="sent"),),
            outputs=(GraphTensor(name="y", dtype="FP32", shape=(-1, 4), tensor="x"),),
        ),
    ),
    outputs=(Y,),
)


IMAGE = spec_of("image", "FP32", (1, 3, SIDE, SIDE))
CELLS = (SIDE // CELL) ** 2
BOXES, SCORES = spec_of("boxes", "FP32", (1, CELLS, 4)), spec_of("scores", "FP32", (1, CELLS, 3))
DETECTOR = Pipeline(
    inputs=(spec_of("photo", "UINT8", (-1, -1, 3)),),
    pre=(
        Resize(input="photo", output="small", height=SIDE, width=SIDE, fit="letterbox", scale="scale"),
        Normalize(input="small", output="values", scale=1 / 255, mean=(0.5,), std=(0.5,)),
        Layout(input="values", output="image", from_="HWC", to="NCHW"),
    ),
    post=(
        NonMaximumSuppression(
            boxes="boxes",
            scores="scores",
            kept_boxes="kept",
            kept_scores="certainties",
            kept_classes="classes",
            form="xyxy",
            iou_threshold=0.5,
            score_threshold=0.2,
        ),
        ScaleBoxes(input="kept", scale="scale", output="placed", form="xyxy", image="photo"),
    ),
    outputs=(
        spec_of("placed", "FP32", (1, -1, 4)),
        spec_of("certainties", "FP32", (1, -1)),
        spec_of("classes", "INT64", (1, -1)),
    ),
)


def detector_model(more):
    """Finds cells of an image that are bright in a channel, which is their class; a variant of it finds more of them."""
    rows, columns = np.mgrid[:SIDE:CELL, :SIDE:CELL]
    corners = [columns, rows, columns + CELL, rows + CELL]
    nodes = [
        models.helper.make_node("AveragePool", ["image"], ["means"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        models.helper.make_node("Reshape", ["means", "shape"], ["cells"]),
        models.helper.make_node("Transpose", ["cells"], ["plain"], perm=[0, 2, 1]),
        models.helper.make_node("Add", ["plain", "more"], ["scores"]),
        models.helper.make_node("Identity", ["whole"], ["boxes"]),
    ]
    constants = [
        models.numpy_helper.from_array(np.array([1, 3, CELLS]), "shape"),
        models.constant("more", [more]),
        models.constant("whole", [np.stack(corners, axis=-1).reshape(CELLS, 4).tolist()]),
    ]
    outputs = [("boxes", models.FLOAT, [1, CELLS, 4]), ("scores", models.FLOAT, [1, CELLS, 3])]
    return models.build(nodes, [("image", models.FLOAT, [1, 3, SIDE, SIDE])], outputs, initializers=constants)


class Limited(SharedMemory):
    """Shared memory of which a test may leave less."""

    def __init__(self):
        self.most_bytes = 64 << 20
        super().__init__(max_bytes=lambda: self.most_bytes)


@pytest.fixture
def memory():
    """For the tensors of both workers."""
    return Limited()


@pytest.fixture
async def variants(tmp_path, memory):
    """Two workers of one bundle: one adds 1 to what the graph has made of the request, the other one 2."""
    files = {"graph.onnx": GRAPH}
    async with running(tmp_path, memory, [(add_model(amount), [X], [Y], PIPELINE, files) for amount in (1, 2)]) as two:
        yield two


@pytest.fixture
async def detectors(tmp_path, memory):
    """Two workers of a bundle that finds things on photos: the second one finds more of them."""
    contents = [detector_model(more).SerializeToString() for more in (0.0, 0.1)]
    async with running(
        tmp_path, memory, [(model, [IMAGE], [BOXES, SCORES], DETECTOR, {}) for model in contents]
    ) as two:
        yield two


@asynccontextmanager
async def running(tmp_path, memory, specs):
    """Workers of models, with inputs, outputs, a pipeline and its files."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(PATIENCE_S))
        template = await stack.enter_async_context(Template())
        workers = []
        for model, inputs, outputs, pipeline, files in specs:
            spec = worker_spec(model, inputs, outputs, pipeline=pipeline, files=files)
            with opened(tmp_path, model, *files.values()) as descriptors:
                worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S, memory=memory)
            workers.append(await stack.enter_async_context(worker))
        yield workers


async def run(worker, tensor, features=None):
    """The answer of a worker to one request."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    request = Request(inputs=[tensor], deadline_s=loop.time() + PATIENCE_S, features=features)
    worker.run([request], future.set_result)
    (outcome,) = await future
    return outcome


@pytest.mark.parametrize("rows", [1, 100_000], ids=["in datagrams", "in shared memory"])
async def test_an_answer_from_features_is_that_from_the_inputs_byte_for_byte(variants, rows):
    first, second = variants
    sent = to_tensor("sent", np.random.default_rng(1).random((rows, 4), dtype=np.float32))
    wanted = Features(digest="d", takes=(X,), gives=(Y,), scale=1.0, most_bytes=1 << 30)

    brought = await run(first, sent, wanted)
    known = Features(digest="d", takes=(X,), gives=(Y,), scale=1.0, most_bytes=1 << 30, tensors=brought.features)
    plain = await run(second, sent)
    # Nothing but the features can be what it goes by.
    given = await run(second, Tensor(name="sent", dtype="FP32", shape=(0, 4), data=b""), known)

    np.testing.assert_array_equal(to_array(brought.features[0]), to_array(sent) + np.float32(0.1))
    assert bytes(given.outputs[0].data) == bytes(plain.outputs[0].data)
    assert (plain.had_features, given.had_features) == (False, True)
    assert bytes(brought.outputs[0].data) != bytes(plain.outputs[0].data)


@pytest.mark.parametrize(("height", "width"), [(48, 60), (480, 640), (64, 64)], ids=["small", "large", "fitting"])
async def test_a_detector_places_its_boxes_by_what_was_known_of_the_photo(detectors, height, width):
    """The model has never seen the photo: its size, and how it was made smaller, are among the features."""
    first, second = detectors
    colours = np.random.default_rng(height).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    photo = to_tensor("photo", colours.repeat(height // 4, axis=0).repeat(width // 4, axis=1))
    variant = worker_spec(b"model", [IMAGE], [BOXES, SCORES]).variant
    features = Features(
        digest="d",
        takes=variant.inputs,
        gives=variant.outputs,
        borrowed=borrowed_beside(variant, DETECTOR, 1.0),
        scale=1.0,
        most_bytes=1 << 30,
    )

    brought = await run(first, photo, features)
    plain = await run(second, photo)
    nothing = Tensor(name="photo", dtype="UINT8", shape=(0, 0, 3), data=b"")
    given = await run(second, nothing, replace(features, tensors=brought.features))

    assert [tensor.name for tensor in brought.features] == ["image", "photo", "scale"]
    assert [bytes(tensor.data) for tensor in given.outputs] == [bytes(tensor.data) for tensor in plain.outputs]
    assert [tensor.shape for tensor in given.outputs] == [tensor.shape for tensor in plain.outputs]
    assert given.had_features
    found = to_array(plain.outputs[0])[0]
    assert len(found) > len(to_array(brought.outputs[0])[0]), "the variants differ"
    assert (found.max(axis=0) <= [width, height, width, height]).all()


async def test_features_for_which_there_is_no_memory_never_cost_a_large_answer(variants, memory):
    """What is sent and what is answered fits, the features on top of it do not."""
    sent = to_tensor("sent", np.ones((100_000, 4), dtype=np.float32))
    wanted = Features(digest="d", takes=(X,), gives=(Y,), scale=1.0, most_bytes=1 << 30)
    memory.most_bytes = 2 * ROUNDED_BYTES
    # Its first: the next answer has room for as much as this one from the start.
    outcome = await run(variants[0], sent, wanted)
    memory.trim()
    plain = await run(variants[0], sent)

    assert bytes(outcome.outputs[0].data) == bytes(plain.outputs[0].data)
    assert outcome.features is None
