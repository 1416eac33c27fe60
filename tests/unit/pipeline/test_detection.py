"""Finding the best boxes, against a slow reference and ONNX Runtime's own operator; and where they are on the image that was sent."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import helper

from edged.errors import TensorError
from edged.pipeline.kernels.detection import BLOCK, as_corners, overlaps
from edged.pipeline.steps import NonMaximumSuppression, ScaleBoxes
from edged.pipeline.steps.base import MisfitError
from edged.worker.backends.ort import PROVIDER, load_library, session_options
from tests.fakes import models
from tests.fakes.steps import run_step, spec

FORMS = ["xyxy", "yxyx", "xywh", "cxcywh"]
# Small whole numbers: boxes that often overlap, often by the same amount, and whose overlap is exact in any arithmetic.
corner = st.integers(0, 8)
scores_of = st.integers(0, 8).map(lambda i: i / 8)
both_modes = {"classes": st.sampled_from(["best", "all"]), "across_classes": st.booleans()}


@st.composite
def detections(draw, max_boxes=12, max_classes=3):
    n, classes = draw(st.integers(0, max_boxes)), draw(st.integers(1, max_classes))
    boxes = draw(hnp.arrays(np.float32, (n, 4), elements=corner))
    return boxes, draw(hnp.arrays(np.float32, (n, classes), elements=scores_of))


def suppression(**keys):
    names = {name: name for name in ("boxes", "scores", "kept_boxes", "kept_scores", "kept_classes")}
    return NonMaximumSuppression(**{**names, "form": "xyxy", "iou_threshold": 0.5, "score_threshold": 0.25, **keys})


def found(step, boxes, scores):
    return tuple(run_step(step, {"boxes": boxes, "scores": scores}).values())


def overlap(a, b):
    """Intersection over union, exactly."""
    a, b = ([Fraction(float(side)) for side in box] for box in (a, b))
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(width, 0) * max(height, 0)
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (a, b)]
    union = sum(areas) - common
    return common / union if union > 0 else Fraction(0)


def reference(step, boxes, scores):
    """The description of the step, one pair at a time."""
    pairs = []
    for box, row in enumerate(scores.tolist()):
        offered = list(enumerate(row))
        if step.classes == "best":
            offered = [max(offered, key=lambda item: (item[1], -item[0]))]
        pairs += [(-score, box, kind) for kind, score in offered if score >= step.score_threshold]
    waiting = sorted(pairs)[: step.max_candidates]
    kept = []
    while waiting and len(kept) < step.max_boxes:
        best = waiting[0]
        kept.append(best)
        waiting = [
            other
            for other in waiting[1:]
            if (not step.across_classes and other[2] != best[2])
            or overlap(boxes[best[1]], boxes[other[1]]) <= step.iou_threshold
        ]
    return kept


@given(
    found_by_model=detections(),
    max_boxes=st.integers(1, 6),
    max_candidates=st.integers(1, 12),
    iou_threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    **both_modes,
)
def test_what_is_kept_is_what_the_description_says(found_by_model, **keys):
    step = suppression(**keys)
    boxes, scores = found_by_model

    kept_boxes, kept_scores, kept_classes = found(step, boxes, scores)

    wanted = reference(step, boxes, scores)
    assert kept_boxes.tolist() == [boxes[box].tolist() for _, box, _ in wanted]
    assert kept_scores.tolist() == [-score for score, _, _ in wanted]
    assert kept_classes.tolist() == [kind for _, _, kind in wanted]


@given(found_by_model=detections(), has_classes=st.booleans())
def test_a_batch_axis_comes_back(found_by_model, has_classes):
    boxes, scores = found_by_model
    scores = scores if has_classes else scores[:, 0]

    alone = found(suppression(), boxes, scores)
    batch = found(suppression(), boxes[np.newaxis], scores[np.newaxis])

    assert [array.dtype for array in batch] == [np.float32, np.float32, np.int64]
    assert_same([array[0] for array in batch], alone)


@pytest.mark.parametrize("across_classes", [False, True])
def test_more_candidates_than_are_looked_at_together_make_no_difference(across_classes):
    rng = np.random.default_rng(5)
    lowest = rng.integers(0, 20, (150, 2))
    boxes = np.concatenate([lowest, lowest + rng.integers(1, 12, (150, 2))], axis=1).astype(np.float32)
    scores = (rng.integers(2, 64, (150, 3)) / 64).astype(np.float32)
    step = suppression(
        classes="all", across_classes=across_classes, score_threshold=0.0, iou_threshold=0.25, max_boxes=1000
    )

    _, kept_scores, kept_classes = found(step, boxes, scores)

    wanted = reference(step, boxes, scores)
    assert len(scores.ravel()) > BLOCK
    assert kept_scores.tolist() == [-score for score, _, _ in wanted]
    assert kept_classes.tolist() == [kind for _, _, kind in wanted]


def test_axes_may_be_open():
    """A model's rows are as many as it finds, and its batch axis may be any in the manifest; one item is what the step takes."""
    said = suppression().gives({"boxes": spec("boxes", -1, -1, 4), "scores": spec("scores", -1, -1, 80)})

    assert [str(item) for item in said] == ["FP32 [1, any, 4]", "FP32 [1, any]", "INT64 [1, any]"]


@pytest.fixture(scope="module")
def onnx_suppression():
    """ONNX's NonMaxSuppression: boxes [1, n, 4] as y, x, y, x and scores [1, classes, n] to rows of batch, class, box."""
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["kept"])
    inputs = [
        ("boxes", models.FLOAT, [1, "n", 4]),
        ("scores", models.FLOAT, [1, "c", "n"]),
        ("most", models.INT64, [1]),
        ("iou", models.FLOAT, [1]),
        ("least", models.FLOAT, [1]),
    ]
    model = models.build([node], inputs, [("kept", models.INT64, ["k", 3])]).SerializeToString()
    library = load_library()
    return library.InferenceSession(model, session_options(library), providers=[PROVIDER])


@pytest.mark.parametrize("seed", range(8))
def test_what_is_kept_is_what_onnx_runtime_keeps(onnx_suppression, seed):
    """The operator compares with "more than" where the step says "at least", and knows no limit over all classes: neither matters here."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform(0, 100, (200, 2)), rng.uniform(5, 40, (200, 2))
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
    scores = rng.uniform(size=(200, 3)).astype(np.float32)
    step = suppression(classes="all", iou_threshold=0.45, score_threshold=0.3, max_boxes=1000)

    kept_boxes, kept_scores, kept_classes = found(step, boxes, scores)

    rows = onnx_suppression.run(
        None,
        {
            "boxes": boxes[np.newaxis, :, [1, 0, 3, 2]],
            "scores": scores.T[np.newaxis],
            "most": np.array([1000]),
            "iou": np.float32([0.45]),
            "least": np.float32([0.3]),
        },
    )[0]
    wanted = sorted((-float(scores[box, kind]), kind, boxes[box].tolist()) for _, kind, box in rows.tolist())
    assert len(kept_scores) > 100
    got = zip(kept_scores.tolist(), kept_classes.tolist(), kept_boxes.tolist(), strict=True)
    assert sorted((-score, kind, box) for score, kind, box in got) == wanted
    assert (np.diff(kept_scores) <= 0).all()


@given(found_by_model=detections(), form=st.sampled_from(FORMS))
def test_the_form_of_boxes_changes_nothing_but_their_numbers(found_by_model, form):
    boxes, scores = found_by_model
    left, top, right, bottom = boxes.T
    as_form = {
        "xyxy": [left, top, right, bottom],
        "yxyx": [top, left, bottom, right],
        "xywh": [left, top, right - left, bottom - top],
        "cxcywh": [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top],
    }[form]

    assert_same(found(suppression(form=form), np.stack(as_form, axis=1), scores), found(suppression(), boxes, scores))


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@given(found_by_model=detections(max_boxes=6), **both_modes)
def test_what_was_kept_is_kept_again(found_by_model, **keys):
    """Nothing that is kept overlaps anything else that is."""
    step = suppression(**keys, max_boxes=100)
    kept_boxes, kept_scores, kept_classes = found(step, *found_by_model)
    again = np.zeros((len(kept_scores), 3), dtype=np.float32)
    again[np.arange(len(kept_scores)), kept_classes] = kept_scores

    assert_same(found(step, kept_boxes, again), (kept_boxes, kept_scores, kept_classes))


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_box_that_is_not_finite_is_left_out(side, value):
    """From a width of 3e38 at x = 3e38 there is no right side in FP32."""
    boxes = np.array([[0, 0, 1, 1], [3e38, 3e38, 3e38, 3e38]], dtype=np.float32)
    boxes[1, side] = value

    kept, _, _ = found(suppression(form="xywh"), boxes, np.ones((2, 1), np.float32))

    assert kept.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("size", [3e38, 1, 1e-3, 1e-38])
def test_boxes_of_any_size_overlap_alike(size):
    boxes = np.array([[0, 0, size, size], [0, 0, size * 2 / 3, size], [size, 0, size, size]], dtype=np.float64)

    assert overlaps(boxes, boxes)[0].tolist() == pytest.approx([1, 2 / 3, 0])


@given(hnp.arrays(np.float32, (5, 4), elements=corner), st.sampled_from(FORMS))
def test_corners_of_whole_numbers_are_exact_in_any_precision(boxes, form):
    assert as_corners(boxes, form).tolist() == as_corners(boxes.astype(np.float64), form).tolist()


@pytest.mark.parametrize(
    ("boxes", "scores", "key"),
    [
        (spec("boxes", 5, 4, dtype="FP64"), spec("scores", 5), "boxes"),
        (spec("boxes", 5, 3), spec("scores", 5), "boxes"),
        (spec("boxes", 5), spec("scores", 5), "boxes"),
        (spec("boxes", 2, 5, 4), spec("scores", 2, 5), "boxes"),
        (spec("boxes", 5, 4), spec("scores", 6), "scores"),
        (spec("boxes", 5, 4), spec("scores", 5, 0), "scores"),
        (spec("boxes", 5, 4), spec("scores", 5, dtype="INT8"), "scores"),
        (spec("boxes", 1, 5, 4), spec("scores", 5), "scores"),
        (spec("boxes", 5, 4), spec("scores", 1, 5, 2), "scores"),
    ],
)
def test_types_that_do_not_go_together_are_refused(boxes, scores, key):
    with pytest.raises(MisfitError, match=rf"^{key}: "):
        suppression().gives({"boxes": boxes, "scores": scores})


def test_several_images_at_once_are_refused():
    """Each would have a number of boxes of its own."""
    with pytest.raises(TensorError, match=r"nms@1.*boxes, which is FP32 \[2, 3, 4\]"):
        found(suppression(), np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.float32))


def placed(boxes, scale, image=None, /, **keys):
    step = ScaleBoxes(**{"input": "boxes", "scale": "scale", "output": "placed", "form": "xyxy", **keys})
    arrays = {"boxes": np.float32(boxes), "scale": np.float32(scale)}
    return run_step(step, arrays if image is None else arrays | {"image": image})["placed"]


@given(
    boxes=hnp.arrays(np.float32, (3, 4), elements=st.floats(-100, 1000, width=32)),
    scale=st.tuples(st.floats(0.125, 8, width=32), st.floats(0.125, 8, width=32)),
    pad=st.tuples(st.floats(0, 100, width=32), st.floats(0, 100, width=32)),
)
def test_boxes_come_back_from_where_resizing_put_them(boxes, scale, pad):
    scale_y, scale_x = scale
    pad_y, pad_x = pad
    moved = boxes.astype(np.float64) * ([scale_x, scale_y] * 2) + [pad_x, pad_y] * 2

    np.testing.assert_allclose(placed(moved, [scale_y, scale_x, pad_y, pad_x]), boxes, rtol=1e-5, atol=1e-3)


def test_boxes_end_at_the_edges_of_the_image_that_was_sent():
    image = np.zeros((30, 20, 3), np.uint8)

    assert placed([[-5, -5, 50, 50], [1, 2, 3, 4]], [1, 1, 0, 0], image, image="image").tolist() == [
        [0, 0, 20, 30],
        [1, 2, 3, 4],
    ]


def test_shares_are_of_what_the_model_saw():
    assert placed([[0.5, 0.25, 1, 1]], [2, 4, 10, 20], shares_of=(100, 200)).tolist() == [[20, 7.5, 45, 45]]


@pytest.mark.parametrize("scale", [[0, 1, 0, 0], [1, -1, 0, 0], [np.nan, 1, 0, 0], [1, 1, np.inf, 0]])
def test_a_scale_that_no_image_has_is_refused(scale):
    with pytest.raises(TensorError, match=r"scale_boxes@1: scale is"):
        placed([[0, 0, 1, 1]], scale)


@pytest.mark.parametrize(
    ("boxes", "scale", "image", "key"),
    [
        (spec("boxes", 5, 3), spec("scale", 4), None, "input"),
        (spec("boxes"), spec("scale", 4), None, "input"),
        (spec("boxes", 5, 4, dtype="INT32"), spec("scale", 4), None, "input"),
        (spec("boxes", 5, 4), spec("scale", 2), None, "scale"),
        (spec("boxes", 5, 4), spec("scale", 4, 1), None, "scale"),
        (spec("boxes", 5, 4), spec("scale", 4), spec("image", 1, 3, 5, 5), "image"),
    ],
)
def test_boxes_scales_and_images_of_other_types_are_refused(boxes, scale, image, key):
    step = ScaleBoxes(input="boxes", scale="scale", output="o", form="xyxy", image=image and "image")

    with pytest.raises(MisfitError, match=rf"^{key}: "):
        step.gives({"boxes": boxes, "scale": scale, "image": image})
