"""Golden cases of ``edged.pipeline.steps.detection``."""

import numpy as np

from edged.pipeline.steps.detection import NonMaximumSuppression, ScaleBoxes
from tests.golden.pipeline.vectors import case

# Left, top, right, bottom: three that overlap, the third by a third only; one apart; one of no size; one without a left side.
BOXES = [[0, 0, 10, 10], [1, 0, 11, 10], [5, 0, 15, 10], [50, 50, 60, 70], [20, 20, 20, 20], [np.nan, 0, 10, 10]]
SCORES = [[0.5, 0.25], [0.75, 0.5], [0.75, 0], [0.125, 0.875], [0.625, 0.5], [1, 1]]
NAMES = {
    "boxes": "boxes",
    "scores": "scores",
    "kept_boxes": "kept",
    "kept_scores": "kept_scores",
    "kept_classes": "kept_classes",
}
RULES = {"iou_threshold": 0.5, "score_threshold": 0.25}


def floats(values):
    return np.array(values, dtype=np.float32)


def found(boxes, scores):
    return {"boxes": floats(boxes), "scores": floats(scores)}


def suppression(form="xyxy", **rules):
    return NonMaximumSuppression(**NAMES, form=form, **{**RULES, **rules})


def centred(box):
    left, top, right, bottom = box
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


CASES = [
    case("the best class of each box", suppression(), found(BOXES, SCORES)),
    case("every class of each box", suppression(classes="all"), found(BOXES, SCORES)),
    case("across classes", suppression(classes="all", across_classes=True), found(BOXES, SCORES)),
    case("a batch axis", suppression(), found([BOXES], [SCORES])),
    case("scores without classes", suppression(), found(BOXES, [row[0] for row in SCORES])),
    case("from centres", suppression("cxcywh"), found(list(map(centred, BOXES)), SCORES)),
    case("top first", suppression("yxyx"), found([[t, x, b, r] for x, t, r, b in BOXES], SCORES)),
    case("widths and heights", suppression("xywh"), found([[x, t, r - x, b - t] for x, t, r, b in BOXES], SCORES)),
    case("no more than asked for", suppression(max_boxes=2), found(BOXES, SCORES)),
    case("few candidates", suppression(max_candidates=2, iou_threshold=0), found(BOXES, SCORES)),
    case("no boxes", suppression(), found(np.zeros((1, 0, 4)), np.zeros((1, 0, 2)))),
    case(
        "a letterboxed image",
        ScaleBoxes(input="boxes", scale="scale", output="placed", form="xyxy"),
        {"boxes": floats([[0, 12.5, 320, 240], [10, 20, 30, 40]]), "scale": floats([0.5, 0.25, 40, 0])},
    ),
    case(
        "shares of the model's input, cut at the edges of the image",
        ScaleBoxes(input="boxes", scale="scale", output="placed", form="cxcywh", shares_of=(320, 640), image="image"),
        {
            "boxes": floats([[[0.5, 0.5, 0.25, 0.5], [0, 1, 0.5, 0.125], [np.nan, 0.5, 0.5, np.inf]]]),
            "scale": floats([128, 200, 16, 0]),
            "image": np.zeros((2, 3, 1), dtype=np.uint8),
        },
    ),
]
