"""Whole pipelines of image steps: what a model was trained with, and how a box finds its way back."""

import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from edged.pipeline.kernels import compile_stage
from edged.pipeline.pipeline import Pipeline, misfits
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import ScaleBoxes
from tests.fakes.single_steps import spec
from tests.fakes.steps import no_graphs
from tests.golden.pipeline.vectors import texts

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLASSIFIER = {
    "inputs": [{"name": "file", "dtype": "BYTES", "shape": [1]}],
    "pre": [
        {"op": "decode_image@1", "input": "file", "output": "image"},
        {"op": "resize@1", "input": "image", "output": "small", "height": 36, "width": 36, "fit": "cover"},
        {"op": "crop@1", "input": "small", "output": "middle", "height": 32, "width": 32},
        {"op": "normalize@1", "input": "middle", "output": "values", "scale": 1 / 255, "mean": MEAN, "std": STD},
        {"op": "layout@1", "input": "values", "output": "pixels", "from": "HWC", "to": "NCHW"},
    ],
    "outputs": [{"name": "scores", "dtype": "FP32", "shape": [1, 10]}],
}
MODEL = ((spec("FP32 1 3 32 32", "pixels"),), (spec("FP32 1 10", "scores"),))


def pipeline(**changes) -> Pipeline:
    return msgspec.convert(CLASSIFIER | changes, Pipeline)


def without(op: str) -> list[dict]:
    """The steps but one; the next takes what that one took."""
    steps = [dict(step) for step in CLASSIFIER["pre"]]
    at = next(i for i, step in enumerate(steps) if step["op"] == op)
    removed = steps.pop(at)
    steps[at]["input"] = removed["input"]
    return steps


def test_an_image_file_becomes_what_a_classifier_was_trained_with():
    """The same as Pillow and numpy by hand: the shorter side to 36, the middle 32 of it, the scale of ImageNet, channels first."""
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (54, 80, 3), dtype=np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")

    got = compile_stage(pipeline().pre, {}, no_graphs).run({"file": texts(file.getvalue())})["pixels"]

    small = picture.resize((53, 54), Image.Resampling.BILINEAR).resize((53, 36), Image.Resampling.BILINEAR)
    part = np.asarray(small)[2:34, 10:42] / 255
    np.testing.assert_allclose(got, ((part - MEAN) / STD).transpose(2, 0, 1)[np.newaxis], atol=1e-5)


def test_the_whole_pipeline_fits_its_model():
    assert list(misfits(pipeline(), *MODEL, "/variants/0")) == []


def test_a_forgotten_step_is_found_without_running_anything():
    for op, pointer in (
        ("decode_image@1", "/pipeline/pre/0/input"),
        ("crop@1", "/variants/0/inputs/0"),
        ("normalize@1", "/variants/0/inputs/0"),
    ):
        assert [problem.pointer for problem in misfits(pipeline(pre=without(op)), *MODEL, "/variants/0")] == [pointer]


def test_a_box_is_brought_back_to_the_image_that_was_sent():
    """A letterbox before the model, and the step after it that knows where the letterbox put things."""
    sent = np.zeros((60, 100, 1), np.uint8)
    sent[12:36, 40:90] = 255
    document = {
        "inputs": [{"name": "image", "dtype": "UINT8", "shape": [-1, -1, 1]}],
        "pre": [
            {
                "op": "resize@1",
                "input": "image",
                "output": "small",
                "height": 50,
                "width": 50,
                "fit": "letterbox",
                "scale": "scale",
            }
        ],
        "post": [{"op": "scale_boxes@1", "form": "xyxy", "input": "boxes", "scale": "scale", "output": "found"}],
        "outputs": [{"name": "found", "dtype": "FP32", "shape": [-1, 4]}],
    }
    detector = msgspec.convert(document, Pipeline)
    assert detector.borrowed == {"scale"}
    assert detector.borrowed_types == (TensorSpec(name="scale", dtype="FP32", shape=(4,)),)
    known = compile_stage(detector.pre, {}, no_graphs).run({"image": sent})
    rows, columns = np.nonzero(known["small"][..., 0] > 127)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]

    given = {"scale": known["scale"], "boxes": np.array([box], np.float32)}
    found = compile_stage(detector.post, {}, no_graphs).run(given)["found"]

    np.testing.assert_allclose(found, [[40, 12, 90, 36]], atol=1.01)
    assert TensorSpec(name="scale", dtype="FP32", shape=(4,)) in detector.pre[0].gives(
        {"image": spec("UINT8 60 100 1", "image")}
    )


def test_what_is_read_behind_the_model_is_borrowed_until_a_step_there_writes_it():
    """A step there may use a name again that one before it reads."""
    one, two, out = (spec("FP32 -1", name) for name in ("one", "two", "out"))
    post = [
        {"op": "scale@1", "input": "one", "output": "out", "gain": 2.0},
        {"op": "scale@1", "input": "y", "output": "one", "gain": 2.0},
        {"op": "scale@1", "input": "one", "output": "two", "gain": 2.0},
    ]
    pre = [{"op": "scale@1", "input": "one", "output": "x", "gain": 2.0}]
    document = {"inputs": [one, two], "pre": pre, "post": post, "outputs": [out, two]}

    assert msgspec.convert(msgspec.to_builtins(document), Pipeline).borrowed == {"one"}


def test_what_a_step_measures_and_reads_as_well_is_needed_itself():
    place = ScaleBoxes(input="found", scale="scale", output="placed", form="xyxy", image="found")

    assert place.measures == ()


@pytest.mark.parametrize(
    ("post", "outputs", "measured"),
    [
        ([], [], {"image"}),
        ([{"op": "cast@1", "input": "image", "output": "seen", "to": "FP32"}], [], set()),
        ([], ["image"], set()),
    ],
    ids=["only its size", "a step reads it", "an app gets it"],
)
def test_of_a_picture_that_boxes_are_kept_inside_of_only_the_shape_is_borrowed(post, outputs, measured):
    image = spec("UINT8 -1 -1 1", "image")
    place = {
        "op": "scale_boxes@1",
        "form": "xyxy",
        "input": "boxes",
        "scale": "scale",
        "output": "found",
        "image": "image",
    }
    resize = {"op": "resize@1", "input": "image", "output": "small", "height": 50, "width": 50, "scale": "scale"}
    given = [spec("FP32 -1 4", "found"), *[image for _ in outputs]]
    document = {"inputs": [image], "pre": [resize], "post": [place, *post], "outputs": given}
    pipeline = msgspec.convert(msgspec.to_builtins(document), Pipeline)

    assert pipeline.measured == measured
    assert pipeline.borrowed_types == (spec("INT64 3", "image") if measured else image, spec("FP32 4", "scale"))
