"""A model whose policy asks for less: which of its steps make less, and for whom."""

import msgspec
import numpy as np
import pytest

from edged.errors import BundleError
from edged.pipeline.pipeline import Pipeline
from edged.worker.arrays import to_tensor
from edged.worker.scaled import MAX_SCALES
from tests.fakes.loaded_models import ask, floats, load, texts
from tests.fakes.workers import item_of, spec_of
from tests.golden.pipeline.text import VOCABULARY

X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
CUT = {"op": "pad_to@1", "input": "sound", "output": "x", "axis": 0, "length": 8, "longer": "cut"}
SQUARE = {"height": 32, "width": 32, "scaling": {"least": 0.25}}
SHARES = {"shares_of": [32, 32]}
DOCUMENT = {
    "inputs": [{"name": "sound", "dtype": "FP32", "shape": [-1]}],
    "pre": [{**CUT, "scaling": {"least": 0.25}}],
    "outputs": [{"name": "y", "dtype": "FP32", "shape": [-1]}],
}


def hearing(directory, document=DOCUMENT, **options):
    return load(directory, lambda x: {"y": x}, pipeline=msgspec.convert(document, Pipeline), **options)


@pytest.mark.parametrize(("scale", "length"), [(1.0, 8), (0.5, 4), (0.25, 2), (0.01, 2)])
def test_steps_make_the_share_that_is_asked_for_down_to_the_least(tmp_path, scale, length):
    model = hearing(tmp_path)

    answer = ask(model, floats("sound", *range(10)), scale=scale)

    assert answer["y"].tolist() == [*range(length)]


def test_what_an_app_prepared_itself_stays_as_it_is(tmp_path):
    answer = ask(hearing(tmp_path), floats("x", *range(8)), scale=0.5)

    assert len(answer["y"]) == 8


def test_what_is_said_of_what_an_app_prepared_itself_is_about_the_size_that_it_has(tmp_path):
    """Also where the app sends all that the steps after the model need, so that these can follow."""
    document = {
        "inputs": [{"name": "image", "dtype": "UINT8", "shape": [-1, -1, 1]}],
        "pre": [{"op": "resize@1", "input": "image", "output": "x", "scale": "scale", **SQUARE}],
        "post": [{"op": "scale_boxes@1", "form": "xyxy", "input": "y", "scale": "scale", "output": "z", **SHARES}],
        "outputs": [{"name": "z", "dtype": "FP32", "shape": [1, 4]}],
    }
    model = load(
        tmp_path,
        lambda x, scale: {"y": np.ones((1, 4), np.float32)},
        inputs=(spec_of("x", "UINT8", (-1, -1, 1)), spec_of("scale", "FP32", (4,))),
        outputs=(spec_of("y", "FP32", (1, 4)),),
        pipeline=msgspec.convert(document, Pipeline),
    )
    prepared = (to_tensor("x", np.zeros((32, 32, 1), np.uint8)), floats("scale", 1.0, 1.0, 0.0, 0.0))

    assert ask(model, *prepared, scale=0.5)["z"].tolist() == [[32.0] * 4]


def test_a_pipeline_without_scaling_stays_as_it_is(tmp_path):
    answer = ask(hearing(tmp_path, DOCUMENT | {"pre": [CUT]}), floats("sound", *range(10)), scale=0.5)

    assert len(answer["y"]) == 8


def test_steps_after_the_model_follow_those_before_it(tmp_path):
    """The model finds something in all of what it sees, which is all of what was sent."""
    document = {
        "inputs": [{"name": "image", "dtype": "UINT8", "shape": [-1, -1, 1]}],
        "pre": [
            {
                "op": "resize@1",
                "input": "image",
                "output": "x",
                "height": 32,
                "width": 32,
                "scale": "scale",
                "scaling": {"least": 0.25},
            }
        ],
        "post": [
            {
                "op": "scale_boxes@1",
                "form": "xyxy",
                "input": "y",
                "scale": "scale",
                "shares_of": [32, 32],
                "output": "z",
            }
        ],
        "outputs": [{"name": "z", "dtype": "FP32", "shape": [1, 4]}],
    }
    model = load(
        tmp_path,
        lambda x: {"y": np.array([[0, 0, 1, x.shape[0] / 16]], np.float32)},
        inputs=(spec_of("x", "UINT8", (-1, -1, 1)),),
        outputs=(spec_of("y", "FP32", (1, 4)),),
        pipeline=msgspec.convert(document, Pipeline),
    )

    image = to_tensor("image", np.zeros((60, 80, 1), np.uint8))

    np.testing.assert_allclose(ask(model, image, scale=0.5)["z"], [[0, 0, 80, 60]], rtol=1e-6)


def test_more_scales_than_are_kept_are_answered_all_the_same(tmp_path):
    model = hearing(tmp_path, DOCUMENT | {"pre": [{**CUT, "length": 1000, "scaling": {"least": 0.001}}]})
    scales = [i / (2 * MAX_SCALES) for i in range(1, 2 * MAX_SCALES)]

    lengths = [len(ask(model, floats("sound", *range(10)), scale=scale)["y"]) for scale in scales * 2]

    assert lengths == [int(1000 * scale + 0.5) for scale in scales * 2]
    assert len(model._scaled._made) <= MAX_SCALES


def test_requests_of_different_scales_are_answered_each_at_its_own_in_one_run(tmp_path):
    model = hearing(tmp_path, max_rows=8)
    asked = [model.question(*item_of(floats("sound", *range(10)), scale=scale)) for scale in (1.0, 0.5)]

    answers = model.answer(asked, lambda session, inputs: session.run(inputs, session.new_stop()))

    assert [len(answer["y"]) for answer in answers] == [8, 4]


def test_steps_that_cannot_be_as_small_as_is_said_are_found_when_the_model_is_loaded(tmp_path):
    """Not when the device gets hot."""
    reader = {
        "op": "wordpiece_vocabulary@1",
        "input": "text",
        "ids": "x",
        "file": "vocab.txt",
        "max_length": 16,
        "lowercase": True,
        "strip_accents": True,
        "scaling": {"least": 0.1},
    }
    document = {
        "inputs": [{"name": "text", "dtype": "BYTES", "shape": [1]}],
        "pre": [reader],
        "outputs": [{"name": "y", "dtype": "INT64", "shape": [1, -1]}],
    }
    ids, y = spec_of("x", "INT64", (1, -1)), spec_of("y", "INT64", (1, -1))
    options = {"inputs": (ids,), "outputs": (y,), "files": {"vocab.txt": VOCABULARY}}

    with pytest.raises(BundleError, match="max_length is 2"):
        hearing(tmp_path, document, **options)
    enough = hearing(tmp_path, document | {"pre": [{**reader, "scaling": {"least": 0.25}}]}, **options)
    assert ask(enough, texts("text", b"a " * 30), scale=0.1)["y"].shape == (1, 4)
    assert np.issubdtype(ask(enough, texts("text", b"a"))["y"].dtype, np.int64)
