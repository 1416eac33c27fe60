"""For which requests and variants features are of use."""

import msgspec
import pytest

from edged.bundle.manifest import State
from edged.daemon.cache.features import borrowed_beside, enters_before, has_features, least_bytes
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import Resize, Scale, ScaleBoxes
from edged.pipeline.steps.scaling import Scaling
from edged.runtime.wire import MAX_TENSORS
from tests.fakes.requests import request_of
from tests.fakes.workers import spec_of, variant_of

BOXES, PLACED = (spec_of(name, "FP32", (-1, 4)) for name in ("boxes", "placed"))
SENT, ROWS = (spec_of(name, "FP32", (-1, 4)) for name in ("sent", "rows"))
SIZE = spec_of("size", "FP32", (4,))
MAKES_ROWS = Scale(input="sent", output="rows", gain=1.0)
PLACES = ScaleBoxes(input="boxes", scale="size", output="placed", form="xyxy")


def pipeline(**changes) -> Pipeline:
    return Pipeline(**{"inputs": (SENT,), "pre": (MAKES_ROWS,), "outputs": (BOXES,)} | changes)


def variant(*inputs, **changes):
    return msgspec.structs.replace(variant_of(b"model", inputs or (ROWS,), (BOXES,)), **changes)


def test_steps_before_a_model_make_its_features():
    assert has_features(pipeline(), variant())
    assert not has_features(pipeline(inputs=(ROWS,), pre=()), variant())


def test_a_model_with_a_state_has_none():
    """Its inputs are only a part of what it goes by."""
    assert not has_features(pipeline(), variant(state=(State(input="rows", output="boxes"),)))


def test_what_steps_behind_the_model_read_from_before_it_belongs_to_them():
    placing = pipeline(inputs=(SENT, SIZE), post=(PLACES,), outputs=(PLACED,))

    assert has_features(placing, variant())
    assert borrowed_beside(variant(), placing, 1.0) == (SIZE,)
    assert borrowed_beside(variant(ROWS, SIZE), placing, 1.0) == (), "the model takes it, too"
    assert borrowed_beside(variant(), pipeline(), 1.0) == ()


def test_what_an_output_of_the_model_hides_is_not_among_them():
    hidden = pipeline(inputs=(SENT, BOXES), post=(Scale(input="boxes", output="placed", gain=2.0),), outputs=(PLACED,))

    assert hidden.borrowed == {"boxes"}
    assert borrowed_beside(variant(), hidden, 1.0) == ()


def test_there_are_none_with_more_tensors_than_travel_together():
    texts = tuple(spec_of(f"text{i}", "BYTES", (1,)) for i in range(MAX_TENSORS))
    passing = pipeline(inputs=(SENT, *texts), outputs=(BOXES, *texts))

    assert not has_features(passing, variant())
    assert has_features(msgspec.structs.replace(passing, outputs=(BOXES, *texts[1:])), variant())


def test_what_is_borrowed_has_the_size_of_the_scale_at_which_it_is_asked_for():
    """Below the least scale there is nothing smaller."""
    image, small = (spec_of(name, "UINT8", (-1, -1, 1)) for name in ("image", "small"))
    resize = Resize(
        input="image", output="small", height=32, width=32, scaling=Scaling(least=0.5, multiple=1), scale="size"
    )
    passing = Pipeline(inputs=(image,), pre=(resize,), outputs=(small,))

    shapes = [borrowed_beside(variant(), passing, scale)[0].shape for scale in (1.0, 0.75, 0.5, 0.25)]
    assert shapes == [(32, 32, 1), (24, 24, 1), (16, 16, 1), (16, 16, 1)]


@pytest.mark.parametrize(("names", "is_before"), [(("x",), True), (("y",), False), (("x", "y"), False)])
def test_a_request_with_the_models_own_inputs_enters_behind_the_steps(names, is_before):
    rows = tuple(spec_of(name, "UINT8", (-1, 1)) for name in names)

    assert enters_before(request_of(b"a"), pipeline(inputs=rows)) is is_before


def test_the_least_size_is_that_of_tensors_without_free_axes():
    assert least_bytes((SIZE, ROWS, spec_of("text", "BYTES", (1,)), spec_of("mask", "INT64", (3,)))) == 16 + 24
