"""What goes wrong with models between a laptop and a device, each of it found by the kit that was made when all was well.

The model tells colours apart: a picture goes through the steps of an image pipeline, and comes out as scores of three labels. Its kit is
made once by ``edge-publish kit make``; then something is changed, the bundle is built again, and validated in a real worker.
"""

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edged.bundle.edgeb import read_manifest
from edged.files import hash_bytes
from edged.publish.building.build import build_bundle
from edged.publish.kit.try_variants import validate_variants
from edged.publish.main import main
from tests.fakes.models import FLOAT, build, constant, helper

COLOURS = ("red", "green", "blue")
WEIGHTS = np.array([[3.0, -1.0, 0.25], [-0.5, 2.5, 0.5], [0.25, -0.25, 3.5]])
RECIPE = """\
name = "colours"
version = "1.0.0"

[[variants]]
model = "colours.onnx"
tier = "quality"
precision = "fp32"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 1000.0, memory_bytes = 33554432 }

[[files]]
source = "labels.txt"
path = "labels.txt"
role = "labels"

[pipeline]
inputs = [{ name = "picture", dtype = "BYTES", shape = [1] }]
outputs = [
  { name = "label", dtype = "BYTES", shape = [-1, 1] },
  { name = "scores", dtype = "FP32", shape = [-1, -1] },
]
pre = [
  { op = "decode_image@1", input = "picture", output = "pixels" },
  { op = "resize@1", input = "pixels", output = "small", height = 8, width = 8 },
  { op = "normalize@1", input = "small", output = "normalized", scale = 0.00392156862745098, mean = [0.45], std = [0.25] },
  { op = "layout@1", input = "normalized", output = "image", from = "HWC", to = "NCHW" },
]
post = [
  { op = "softmax@1", input = "logits", output = "scores" },
  { op = "top_k@1", input = "scores", values = "score", indices = "index", k = 1 },
  { op = "labels@1", input = "index", output = "label", file = "labels.txt" },
]

[validation]
kit = "kit"
tolerance = [{ output = "label" }, { output = "scores", absolute = 0.002 }]
metrics = [{ metric = "label_accuracy", output = "label", at_least = 0.9 }]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""
SECOND_VARIANT = """
[[variants]]
model = "int8.onnx"
tier = "speed"
precision = "int8"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 1000.0, memory_bytes = 33554432 }
tolerance = [{ output = "scores", absolute = 0.05 }]
"""


def colours_model(*, weights=WEIGHTS, output="logits", more=(), last="sums", initializers=()):
    """``image`` FP32 [n, 3, 8, 8] to ``logits``: each picture's mean colour times ``weights``, then the nodes ``more`` from ``sums``."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["sums"]),
        *more,
        helper.make_node("Identity", [last], [output]),
    ]
    return build(
        nodes,
        [("image", FLOAT, ["n", 3, 8, 8])],
        [(output, FLOAT, ["n", "k"])],
        initializers=[constant("weights", weights.T), *initializers],
    ).SerializeToString()


def one_more_class():
    """Another column after those of the model before."""
    axes, copy = [constant("none", [[-50.0]])], helper.make_node("Concat", ["sums", "none"], ["wide"], axis=1)
    return colours_model(more=[copy], last="wide", initializers=axes)


def not_a_number():
    """The root of what may be below nought."""
    nodes = [helper.make_node("Sqrt", ["sums"], ["roots"])]
    return colours_model(more=nodes, last="roots")


def hungry(count=15_000_000):
    """Spreads one number over 60 MB on the way."""
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["one"], keepdims=0),
        helper.make_node("Expand", ["one", "count"], ["many"]),
        helper.make_node("ReduceMin", ["many"], ["same"], keepdims=0),
        helper.make_node("Sub", ["same", "one"], ["nothing"]),
        helper.make_node("Add", ["sums", "nothing"], ["kept"]),
    ]
    return colours_model(more=nodes, last="kept", initializers=[constant("count", [count], np.int64)])


def save_picture(path: Path, colour: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (12, 10, 3))
    pixels[..., colour] += 100
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The sources of a bundle that passes: recipe, model, labels, and a kit of 20 samples made with them."""
    directory = tmp_path_factory.mktemp("good")
    (directory / "recipe.toml").write_text(RECIPE)
    (directory / "colours.onnx").write_bytes(colours_model())
    (directory / "labels.txt").write_text("\n".join(COLOURS) + "\n")
    (directory / "pictures").mkdir()
    truth = ["sample,label"]
    for i in range(20):
        save_picture(directory / f"pictures/p{i:02}.png", i % 3, seed=i)
        truth.append(f"p{i:02},{COLOURS[i % 3]}")
    (directory / "truth.csv").write_text("\n".join(truth))
    command = ["kit", "make", str(directory / "recipe.toml"), "--samples", str(directory / "pictures")]
    assert main([*command, "--truth", str(directory / "truth.csv")]) == 0
    return directory


@pytest.fixture
def sources(good, tmp_path):
    """A copy of them, to be changed."""
    return Path(shutil.copytree(good, tmp_path / "src"))


def change(sources, old, new, file="recipe.toml"):
    text = (sources / file).read_text()
    assert old in text
    (sources / file).write_text(text.replace(old, new))


def validated(bundle):
    """Return what came of each variant, by id."""
    _, manifest = read_manifest(bundle)
    _, found = asyncio.run(
        validate_variants(bundle, manifest, manifest.variants, timeout_s=30, report=lambda _line: None)
    )
    return found


def verdict_of(sources):
    bundle = build_bundle(sources / "recipe.toml", sources / "out", report=lambda _line: None)
    return validated(bundle)["colours-1.0.0-fp32-any"]


def failed_samples(result):
    return [sample.name for sample in result.verdict.samples if sample.differences]


def test_all_is_well_at_first(sources):
    result = verdict_of(sources)

    assert result.reasons == ()
    assert len(result.verdict.samples) == 20
    assert result.verdict.measures[0].value == 1.0


def test_silently_changed_normalization_is_found(sources):
    """The labels are all still right."""
    change(sources, "mean = [0.45]", "mean = [0.5]")

    result = verdict_of(sources)

    assert result.status == "failed"
    assert {difference.output for difference in result.verdict.differences} == {"scores"}
    assert "apart, allowed is 0.002" in result.reasons[0]


def test_wrong_order_of_channels_is_found(sources):
    """BGR where the model was trained on RGB: red is blue, and green is green."""
    change(sources, 'to = "NCHW"', 'to = "NCHW", channels = "reversed"')

    result = verdict_of(sources)

    assert "sample p00, output label: element [0, 0] is 'blue', golden 'red', allowed is no other" in result.reasons
    assert (
        result.verdict.measures[0].reason == "label_accuracy of label over 20 samples is 0.35, allowed is at least 0.9"
    )


def test_swapped_labels_are_found(sources):
    """The scores are all still right."""
    change(sources, "green\nblue", "blue\ngreen", file="labels.txt")

    result = verdict_of(sources)

    assert {difference.output for difference in result.verdict.differences} == {"label"}
    assert "sample p01, output label: element [0, 0] is 'blue', golden 'green', allowed is no other" in result.reasons


def test_nan_is_found(sources):
    (sources / "colours.onnx").write_bytes(not_a_number())

    result = verdict_of(sources)

    assert result.status == "failed"
    assert any("output scores: element [0, 0] is nan, golden " in reason for reason in result.reasons)


def test_a_model_over_its_memory_budget_is_found_though_its_answers_are_right(sources):
    """The memory is taken and given back within each run."""
    (sources / "colours.onnx").write_bytes(hungry())

    result = verdict_of(sources)

    assert result.verdict.differences == ()
    assert 56 << 20 < result.verdict.memory_bytes < 90 << 20
    (reason,) = result.reasons
    assert reason.startswith("needs ")
    assert reason.endswith(" MiB of memory, the budget is 32 MiB")


def test_a_model_over_its_time_budget_is_found(sources):
    change(sources, "latency_ms = 1000.0", "latency_ms = 0.0001")

    (reason,) = verdict_of(sources).reasons

    assert reason.startswith("median latency is ")
    assert reason.endswith(" ms, the budget is 0.0001 ms")


def test_another_shape_is_found(sources):
    """One class more, which is never the best."""
    (sources / "colours.onnx").write_bytes(one_more_class())

    result = verdict_of(sources)

    assert result.reasons[0] == "sample p00, output scores: shape is [1, 4], golden [1, 3]"
    assert {difference.output for difference in result.verdict.differences} == {"scores"}


def test_an_output_that_the_model_does_not_have_is_found(sources):
    """The manifest promises it, and its digests are right; somebody put another model in before it was signed."""
    bundle = build_bundle(sources / "recipe.toml", sources / "out", report=lambda _line: None)
    manifest = json.loads((bundle / "manifest.json").read_text())
    model = manifest["variants"][0]["files"][0]
    data = colours_model(output="answers")
    (bundle / model["path"]).write_bytes(data)
    model |= {"sha256": hash_bytes(data), "size": len(data)}
    (bundle / "manifest.json").write_text(json.dumps(manifest))

    result = validated(bundle)["colours-1.0.0-fp32-any"]

    assert result.status == "error"
    assert "logits" in result.error


def test_one_wrong_sample_of_twenty_is_found_and_named(sources):
    save_picture(sources / "kit/samples/p07.png", 2, seed=7)

    result = verdict_of(sources)

    assert failed_samples(result) == ["p07"]
    assert result.verdict.measures[0].reason == ""


def test_a_sample_that_is_no_picture_is_a_failure_of_that_sample(sources):
    (sources / "kit/samples/p03.png").write_bytes(b"no picture")

    result = verdict_of(sources)

    assert failed_samples(result) == ["p03"]
    assert "sample p03, output label: got tensor-invalid: " in result.reasons[0]


@pytest.mark.parametrize(("step", "status"), [(0.125, "passed"), (8.0, "failed")])
def test_a_quantized_variant_that_lost_too_much_is_found_and_one_that_did_not_is_kept(sources, step, status):
    """Its own tolerance is wider than that of the others, and still one."""
    (sources / "int8.onnx").write_bytes(colours_model(weights=np.round(WEIGHTS / step) * step))
    change(sources, "[[files]]", SECOND_VARIANT + "\n[[files]]")
    bundle = build_bundle(sources / "recipe.toml", sources / "out", report=lambda _line: None)

    found = {name: result.status for name, result in validated(bundle).items()}

    assert found == {"colours-1.0.0-fp32-any": "passed", "colours-1.0.0-int8-any": status}
