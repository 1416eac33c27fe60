"""What it saves that an answer is known already, or what the steps before the model make of the request: the same question in turn.

Models of which hardly anything is the model itself: before one a picture is decoded and made smaller, which gives a large tensor; another
one says in addition where on that picture something is; before the third runs an ONNX graph, which gives a small tensor.
"""

import io
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from onnx import GraphProto, TensorProto, helper
from PIL import Image

from bench import device
from bench.measure import measure_latencies, p50_us
from bench.models import Arrays, Model
from bench.processes import wait_until
from bench.servers.sessions import new_session
from edged.cli.steering import Steering
from edged.client import Client, Result
from edged.policy.document import Then

REQUESTS: Final = 400
ROUNDS: Final = 20
MOST_ASKED: Final = 10_000
"""Until the second variant answers, which has to be loaded first."""
FOR_S: Final = 600.0
"""How long an administrator's word holds; longer than all of this takes."""
SIDE: Final = 224
SHAPE: Final = (1, 3, SIDE, SIDE)
"""Of what the models of pictures take."""
GRAPH_FILE: Final = "graph.onnx"

_RECIPE: Final = """\
name = "{name}"
version = "1.0.0"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 10000.0, memory_bytes = 536870912 }}
{second}
[pipeline]
inputs = [{inputs}]
outputs = [{{ name = "{output}", dtype = "FP32", shape = {given} }}]
{steps}
[validation]
kit = "kit"
tolerance = [{{ output = "{output}", absolute = 0.01 }}]

[provenance]
source = "made by bench/known.py"
licence = "Apache-2.0"
"""
_PICTURE_STEPS: Final = f"""
[[pipeline.pre]]
op = "decode_image@1"
input = "content"
output = "pixels"

[[pipeline.pre]]
op = "resize@1"
input = "pixels"
output = "small"
height = {SIDE}
width = {SIDE}
scale = "scale"

[[pipeline.pre]]
op = "normalize@1"
input = "small"
output = "values"
scale = {1 / 255}
mean = [0.5]
std = [0.5]

[[pipeline.pre]]
op = "layout@1"
input = "values"
output = "x"
from = "HWC"
to = "NCHW"
"""
_BOXES_STEP: Final = """
[[pipeline.post]]
op = "scale_boxes@1"
input = "boxes"
scale = "scale"
image = "pixels"
output = "placed"
form = "xyxy"
"""
_GRAPH_STEP: Final = """
[[pipeline.pre]]
op = "graph@1"
file = "{file}"
inputs = [{{ name = "{input}", dtype = "INT32", shape = {taken}, tensor = "content" }}]
outputs = [{{ name = "{output}", dtype = "FP32", shape = {given}, tensor = "x" }}]

[[files]]
source = "{file}"
path = "{file}"
role = "graph"
"""


def measure_known(graph: Model | None, work: Path, *, scale: float) -> dict[str, Any]:
    """Measure one client that asks over HTTP.

    Args:
        graph: What runs as a step; it has one input, INT32 and small enough for the cache. None leaves that model out.
        work: A directory for everything that is written.
        scale: Of the number of requests.
    """
    work.mkdir()
    device.edge_publish("init", work / "repo", "--keys", work / "keys")
    cases = [_publish_picture(work), _publish_detector(work), *([] if graph is None else [_publish_graph(graph, work)])]
    place, log = work / "device", work / "device.log"
    device.fetch_all(cases, work, place)
    with device.edged(place, work, log) as process:
        wait_until(lambda: device.answering(place) >= {case.name for case in cases}, "edged", process, log)
        return {case.name: _measure(case, place, requests=max(ROUNDS, round(REQUESTS * scale))) for case in cases}


def _measure(case: Model, place: Path, *, requests: int) -> dict[str, float]:
    """Have one variant do the work in the background, and ask it; then have the other one answer, and ask that."""
    admin = Steering(str(place / "run/admin.sock"))
    with Client(str(device.socket_of(place)), tensor_path=None) as client:

        def ask(**options: Any) -> Result:
            return client.infer(case.name, dict(case.inputs), **options)

        def times(*, may_cache: bool) -> Callable[[], float]:
            return lambda: _seconds(lambda: ask(may_cache=may_cache))

        ask(is_background=True)
        if not ask().is_cached:
            raise RuntimeError(f"{case.name}: the answer is not known")
        first = measure_latencies(
            {"first": times(may_cache=False), "answer": times(may_cache=True)}, requests=requests, rounds=ROUNDS
        )
        admin.override(case.name, Then(variants=("int8",)), for_s=FOR_S, reason="measured")
        if not any("-int8-" in ask(may_cache=False).variant for _ in range(MOST_ASKED)):
            raise RuntimeError(f"{case.name}: the second variant does not answer")
        if not ask().had_features:
            raise RuntimeError(f"{case.name}: the features are not known")
        second = measure_latencies(
            {"second": times(may_cache=False), "features": times(may_cache=True)}, requests=requests, rounds=ROUNDS
        )
    return {name: p50_us(values) for name, values in (first | second).items()}


def _publish_picture(work: Path) -> Model:
    """Publish a model of a picture, whose steps decode it and make it smaller."""
    file = _picture()
    sources = _sources(work, "picture", "jpg", file)
    _write_mean_model(sources, SHAPE)
    return _publish(work, sources, "BYTES", (1,), _PICTURE_STEPS, {"content": _one_file(file)})


def _publish_detector(work: Path) -> Model:
    """Publish a model that finds a box on such a picture, which a step behind it places on the one that was sent."""
    file = _picture()
    sources = _sources(work, "detector", "jpg", file)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["light"], keepdims=0),
            helper.make_node("Mul", ["light", "nothing"], ["zero"]),
            helper.make_node("Add", ["zero", "middle"], ["boxes"]),
        ],
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 4])],
        [
            helper.make_tensor("nothing", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor(
                "middle", TensorProto.FLOAT, [1, 4], [SIDE * share for share in (0.25, 0.25, 0.75, 0.75)]
            ),
        ],
    )
    _write_model(sources, graph)
    steps, inputs = _PICTURE_STEPS + _BOXES_STEP, {"content": _one_file(file)}
    return _publish(work, sources, "BYTES", (1,), steps, inputs, output="placed", given=(1, 4))


def _picture() -> bytes:
    """Return a file with a picture that is larger than what a model takes."""
    rows, columns = np.mgrid[:960, :1280]
    pixels = np.stack([rows * 255 / 960, columns * 255 / 1280, 128 + 0 * rows], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def _publish_graph(graph: Model, work: Path) -> Model:
    """Publish a model behind another one, which runs as a step."""
    ((name, array),) = graph.inputs.items()
    (output,) = new_session(graph.path).get_outputs()
    given = (1, *output.shape[1:])
    file = io.BytesIO()
    np.savez(file, content=array)
    sources = _sources(work, "graph", "npz", file.getvalue())
    shutil.copyfile(graph.path, sources / GRAPH_FILE)
    step = _GRAPH_STEP.format(
        file=GRAPH_FILE, input=name, taken=list(array.shape), output=output.name, given=list(given)
    )
    _write_mean_model(sources, given)
    return _publish(work, sources, "INT32", array.shape, step, {"content": array})


def _sources(work: Path, name: str, ending: str, sample: bytes) -> Path:
    """Make the directory of a bundle's sources, with one sample."""
    sources = work / "sources" / name
    (sources / "samples").mkdir(parents=True)
    (sources / "samples" / f"one.{ending}").write_bytes(sample)
    return sources


def _write_mean_model(sources: Path, made: Sequence[int]) -> None:
    """Write a model that gives the mean of ``x``, of a shape that is made of what is sent."""
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["all"], keepdims=0),
            helper.make_node("Reshape", ["all", "one"], ["mean"]),
        ],
        "mean",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, made)],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1])],
        [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    _write_model(sources, graph)


def _write_model(sources: Path, graph: GraphProto) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (sources / "model.onnx").write_bytes(model.SerializeToString())


def _publish(
    work: Path,
    sources: Path,
    dtype: str,
    sent: Sequence[int],
    steps: str,
    inputs: Arrays,
    *,
    output: str = "mean",
    given: Sequence[int] = (1,),
) -> Model:
    """Publish a model that was written, which answers with ``output``, in two variants."""
    name, recipe = sources.name, sources / "recipe.toml"
    content = f'{{ name = "content", dtype = "{dtype}", shape = {list(sent)} }}'
    recipe.write_text(
        _RECIPE.format(
            name=name, second=device.SECOND_VARIANT, inputs=content, steps=steps, output=output, given=list(given)
        )
    )
    device.edge_publish("kit", "make", recipe, "--samples", sources / "samples")
    device.edge_publish("bundle", "build", recipe, "--out", work / "bundles")
    device.edge_publish("publish", work / f"bundles/{name}-1.0.0", "--repo", work / "repo", "--keys", work / "keys")
    return Model(
        name=name, path=sources / "model.onnx", inputs=inputs, state={}, licence="Apache-2.0", source="bench/known.py"
    )


def _one_file(data: bytes) -> Any:
    array = np.empty(1, dtype=object)
    array[0] = data
    return array


def _seconds(ask: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    ask()
    return time.perf_counter() - began_s


def print_known(found: dict[str, Any]) -> None:
    """Print what was measured."""
    print(
        f"\n{'p50 of one client, us':24}{'is run':>9}{'answer known':>14}{'of a second variant':>21}{'features known':>16}"
    )
    for name, row in found.items():
        cells = f"{row['first']:>9.0f}{row['answer']:>14.0f}{row['second']:>21.0f}{row['features']:>16.0f}"
        print(f"{name:24}{cells}")
