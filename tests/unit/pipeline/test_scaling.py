"""Less than the full size: what the steps before a model make then, and that what comes after it still fits what was sent."""

import msgspec
import numpy as np
import pytest

from edged.pipeline.kernels import compile_stage
from edged.pipeline.pipeline import Pipeline, misfits
from edged.pipeline.steps.scaling import Scaling
from tests.fakes.single_steps import spec
from tests.fakes.steps import no_graphs
from tests.golden.pipeline.text import VOCABULARY
from tests.golden.pipeline.vectors import texts

RESIZE = {
    "op": "resize@1",
    "input": "image",
    "output": "small",
    "height": 48,
    "width": 64,
    "fit": "letterbox",
    "scale": "scale",
    "scaling": {"least": 0.25, "multiple": 16},
}
DETECTOR = {
    "inputs": [{"name": "image", "dtype": "UINT8", "shape": [-1, -1, 1]}],
    "pre": [RESIZE],
    "post": [{"op": "scale_boxes@1", "form": "xyxy", "input": "boxes", "scale": "scale", "output": "found"}],
    "outputs": [{"name": "found", "dtype": "FP32", "shape": [-1, 4]}],
}
SHARES = {**DETECTOR["post"][0], "shares_of": [48, 64]}
BOXES = spec("FP32 -1 4", "boxes")


def pipeline(**changes) -> Pipeline:
    return msgspec.convert(DETECTOR | changes, Pipeline)


@pytest.mark.parametrize(
    ("full", "scale", "multiple", "size"),
    [
        (320, 0.5, 32, 160),
        (320, 0.7, 32, 224),
        (336, 0.5, 32, 160),
        (100, 0.155, 1, 16),
        (48, 0.01, 32, 32),
        (20, 0.5, 32, 20),
        (321, 1.0, 32, 321),
    ],
    ids=["half", "not a binary fraction", "nearest", "half up", "one at least", "at most full", "full is as written"],
)
def test_a_size_is_the_multiple_that_is_nearest_to_the_share(full, scale, multiple, size):
    assert Scaling(least=0.001, multiple=multiple).size(full, scale) == size


def test_a_pipeline_gets_as_small_as_all_of_its_steps_allow():
    coarse = {**RESIZE, "output": "smaller", "scale": "other", "scaling": {"least": 0.5}}

    assert pipeline().least_scale == 0.25
    assert pipeline(pre=[RESIZE, coarse]).least_scale == 0.5
    assert pipeline(pre=[{**RESIZE, "scaling": None}]).least_scale == 1.0


def test_at_full_size_a_pipeline_is_the_one_that_is_written():
    assert pipeline(post=[SHARES]).at(1.0) == pipeline(post=[SHARES])


@pytest.mark.parametrize("after", [DETECTOR["post"][0], SHARES], ids=["pixels", "shares"])
@pytest.mark.parametrize(("scale", "size"), [(1.0, (48, 64)), (0.5, (32, 32)), (0.25, (16, 16))])
def test_boxes_are_those_of_the_image_that_was_sent_at_any_scale(after, scale, size):
    """The model looks at a smaller image; whoever sent it need not know."""
    sent = np.zeros((120, 100, 1), np.uint8)
    sent[40:100, 20:80] = 255
    whole, sized = pipeline(post=[after]), pipeline(post=[after]).at(scale)
    before, behind = (compile_stage(steps, {}, no_graphs) for steps in (whole.pre, whole.post))

    known = before.at(sized.pre).run({"image": sent})

    small = known["small"]
    assert small.shape == (*size, 1)
    rows, columns = np.nonzero(small[..., 0] > 127)
    box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
    if after is SHARES:
        box /= [*size[::-1], *size[::-1]]
    found = behind.at(sized.post).run({"scale": known["scale"], "boxes": box})["found"]
    np.testing.assert_allclose(found, [[20, 40, 80, 100]], atol=120 / size[0])


def test_a_text_has_fewer_tokens_and_the_vocabulary_is_not_read_again():
    document = {
        "inputs": [{"name": "text", "dtype": "BYTES", "shape": [1]}],
        "pre": [
            {
                "op": "wordpiece_vocabulary@1",
                "input": "text",
                "ids": "ids",
                "attention_mask": "mask",
                "file": "vocab.txt",
                "max_length": 16,
                "pad": "right",
                "lowercase": True,
                "strip_accents": True,
                "scaling": {"least": 0.25, "multiple": 4},
            }
        ],
        "outputs": [{"name": "mask", "dtype": "INT64", "shape": [1, -1]}],
    }
    reader = msgspec.convert(document, Pipeline)
    files = {"vocab.txt": VOCABULARY}
    stage = compile_stage(reader.pre, files, no_graphs)
    files.clear()

    long = texts(b"a " * 30)
    full, half = (one.run({"text": long})["ids"] for one in (stage, stage.at(reader.at(0.5).pre)))

    assert (full.shape, half.shape) == ((1, 16), (1, 8))
    assert half[0, :7].tolist() == full[0, :7].tolist()
    assert half[0, -1] == full[0, -1], "the token that ends a text ends the shorter one, too"


def test_a_sound_is_cut_shorter():
    document = {
        "inputs": [{"name": "sound", "dtype": "FP32", "shape": [-1]}],
        "pre": [
            {
                "op": "pad_to@1",
                "input": "sound",
                "output": "x",
                "axis": 0,
                "length": 8,
                "longer": "cut",
                "scaling": {"least": 0.5},
            }
        ],
        "outputs": [{"name": "x", "dtype": "FP32", "shape": [-1]}],
    }
    hearing = msgspec.convert(document, Pipeline)
    stage = compile_stage(hearing.pre, {}, no_graphs)

    sound = np.arange(10, dtype=np.float32)
    assert stage.at(hearing.at(0.75).pre).run({"sound": sound})["x"].tolist() == [0, 1, 2, 3, 4, 5]


def problems(model_input: str, **changes) -> list[str]:
    found = misfits(pipeline(**changes), (spec(model_input, "small"),), (BOXES,), "/variants/0")
    return [str(problem) for problem in found]


def test_a_model_with_free_axes_may_be_given_less():
    assert problems("UINT8 -1 -1 1") == []


def test_a_model_of_one_size_may_not():
    (problem,) = problems("UINT8 48 64 1")

    assert problem == (
        "/variants/0/inputs/0: expected UINT8 [16, 16, 1], as the pipeline gives it at scale 0.25, got UINT8 [48, 64, 1]"
    )


def test_what_is_wrong_at_any_size_is_said_once():
    assert len(problems("FP32 48 64 1")) == 1


def test_what_comes_after_the_model_is_not_scaled():
    late = {**RESIZE, "input": "image", "output": "again", "scale": "other"}

    assert problems("UINT8 -1 -1 1", post=[*DETECTOR["post"], late]) == [
        "/pipeline/post/1/scaling: expected nothing after the model, got scaling"
    ]
