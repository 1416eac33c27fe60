"""Steps on what detectors give: boxes and their scores.

A box is four numbers along the last axis, in pixels or as shares of the image: x goes right, y goes down, both from the top left corner.
Whatever form boxes come in, steps give them as ``xyxy``: left, top, right, bottom.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import Count, MisfitError, StepBase, wanted
from edged.pipeline.steps.one_item import one_item

BoxForm = Literal["xyxy", "yxyx", "xywh", "cxcywh"]
"""Left, top, right, bottom; top, left, bottom, right; left, top, width, height; or x and y of the centre, width, height.

From ``xywh``, right is left + width; from ``cxcywh``, left is x - width / 2 and right is x + width / 2; likewise vertically.
"""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class NonMaximumSuppression(StepBase, frozen=True, kw_only=True, tag="nms@1"):
    """The best boxes, without those that overlap a better one.

    ``boxes`` is FP32 [n, 4] and ``scores`` FP32 [n] or [n, classes]; or both with a leading batch axis of 1, which everything given has
    then, too. Given are ``kept_boxes`` FP32 [m, 4] as ``xyxy``, ``kept_scores`` FP32 [m] and ``kept_classes`` INT64 [m], best score first,
    with ``m`` at most ``max_boxes``.

    1. Boxes are brought to ``xyxy`` in FP32. One with a corner that is not finite is left out.
    2. Candidates are pairs of a box and a class. With ``classes`` "best", each box has one candidate: its largest score, of the smallest
       class among equals, where NaN counts as minus infinity. With "all", it has one for each class. Scores [n] are those of class 0.
    3. Candidates with a score below ``score_threshold`` (compared in FP64), or NaN, are left out.
    4. The others are sorted: largest score first; among equals the smaller box index, then the smaller class. Only the first
       ``max_candidates`` go on, which bounds the time that this takes.
    5. Again and again the first candidate is kept, and removed together with all that overlap it by more than ``iou_threshold``: those of
       its class, or with ``across_classes`` those of any. It ends when none is left or ``max_boxes`` are kept.

    The overlap of a and b is intersection / union of their areas, computed in FP64; a box whose right is left of its left, or bottom above
    its top, has no area; where the union is 0, so is the overlap.
    """

    boxes: TensorName
    scores: TensorName
    kept_boxes: TensorName
    kept_scores: TensorName
    kept_classes: TensorName
    form: BoxForm
    iou_threshold: Share
    score_threshold: Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
    max_boxes: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 300
    max_candidates: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 30_000
    classes: Literal["best", "all"] = "best"
    across_classes: bool = False

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``boxes`` and ``scores``."""
        return (self.boxes, self.scores)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``kept_boxes``, ``kept_scores`` and ``kept_classes``."""
        return (self.kept_boxes, self.kept_scores, self.kept_classes)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 [m, 4], FP32 [m] and INT64 [m] with a free ``m``."""
        boxes = one_item(known, self.boxes, "FP32", axes=2, key="boxes")
        if boxes.shape[1] not in {4, -1}:
            raise MisfitError("boxes", expected="a last axis of 4", found=f"{self.boxes}, which is {known[self.boxes]}")
        has_classes = len(known[self.scores].shape) == len(boxes.lead) + 2
        scores = one_item(known, self.scores, "FP32", axes=2 if has_classes else 1, key="scores")
        if scores.lead != boxes.lead or _differ(scores.shape[0], boxes.shape[0]) or scores.shape[1:] == (0,):
            raise MisfitError(
                "scores",
                expected=f"as many as {self.boxes}, which is {known[self.boxes]}, each of a class or more",
                found=f"{self.scores}, which is {known[self.scores]}",
            )
        return (
            TensorSpec(name=self.kept_boxes, dtype="FP32", shape=(*boxes.lead, -1, 4)),
            TensorSpec(name=self.kept_scores, dtype="FP32", shape=(*boxes.lead, -1)),
            TensorSpec(name=self.kept_classes, dtype="INT64", shape=(*boxes.lead, -1)),
        )


class ScaleBoxes(StepBase, frozen=True, kw_only=True, tag="scale_boxes@1"):
    """Boxes on the image that the model saw, as boxes on the image that was sent.

    ``input`` and ``output`` are FP32 [..., 4]; ``scale`` is FP32 [4], as ``resize@1`` gives it: scale_y, scale_x, pad_y, pad_x. Boxes are
    brought to ``xyxy``; where ``shares_of`` is given, boxes are shares of an image of that height and width, with which they are multiplied
    first. Then x becomes (x - pad_x) / scale_x, and y likewise. With ``image``, the tensor [height, width, channels] that was sent, x is
    cut to 0 ... width and y to 0 ... height. All of it is computed in FP64 and rounded once at the end. NaN stays NaN.

    A scale that is not finite, or not above 0, and a pad that is not finite are refused.
    """

    input: TensorName
    scale: TensorName
    output: TensorName
    form: BoxForm
    shares_of: tuple[Count, Count] | None = None
    image: TensorName | None = None

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input``, ``scale`` and, if given, ``image``."""
        return (self.input, self.scale, *([] if self.image is None else [self.image]))

    @property
    def measures(self) -> tuple[TensorName, ...]:
        """``image``, if given and no other tensor."""
        return () if self.image is None or self.image in {self.input, self.scale} else (self.image,)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output``."""
        return (self.output,)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        boxes = wanted(known, self.input, "FP32")
        if boxes.shape[-1:] not in {(4,), (-1,)}:
            raise MisfitError("input", expected="FP32 with a last axis of 4", found=f"{self.input}, which is {boxes}")
        scale = wanted(known, self.scale, "FP32", rank=1, key="scale")
        if scale.shape not in {(4,), (-1,)}:
            raise MisfitError("scale", expected="FP32 [4]", found=f"{self.scale}, which is {scale}")
        if self.image is not None:
            wanted(known, self.image, rank=3, key="image")
        return (TensorSpec(name=self.output, dtype="FP32", shape=(*boxes.shape[:-1], 4)),)


def _differ(one: int, other: int) -> bool:
    return -1 not in {one, other} and one != other
