"""What the steps of ``edged.pipeline.steps.detection`` compute."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.errors import TensorError
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources, ScalableKernel
from edged.pipeline.kernels.scores import argmax
from edged.pipeline.kernels.types import check_types
from edged.pipeline.steps.detection import BoxForm, NonMaximumSuppression, ScaleBoxes

Floats = NDArray[np.floating]
Indices = NDArray[np.int64]
SIDES: Final = 4
"""Left, top, right, bottom."""
BLOCK: Final = 256
"""Candidates that are looked at together."""


def as_corners(boxes: Floats, form: BoxForm) -> Floats:
    """Return boxes as ``xyxy``, computed in the datatype they have."""
    first, second, third, fourth = (boxes[..., side] for side in range(SIDES))
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is left out, or stays
        match form:
            case "xyxy":
                sides = [first, second, third, fourth]
            case "yxyx":
                sides = [second, first, fourth, third]
            case "xywh":
                sides = [first, second, first + third, second + fourth]
            case "cxcywh":
                half_width, half_height = third / 2, fourth / 2
                sides = [first - half_width, second - half_height, first + half_width, second + half_height]
    return np.stack(sides, axis=-1)


def overlaps(one: Floats, other: Floats) -> NDArray[np.float64]:
    """Return the intersection of each box with each of others, divided by their union.

    Args:
        one: FP64 [m, 4] as ``xyxy``.
        other: FP64 [n, 4] likewise.

    Returns:
        FP64 [m, n].
    """
    lowest, highest = np.maximum(one[:, np.newaxis, :2], other[:, :2]), np.minimum(one[:, np.newaxis, 2:], other[:, 2:])
    common = np.maximum(highest - lowest, 0).prod(axis=-1)
    union = _areas(one)[:, np.newaxis] + _areas(other) - common
    shares: NDArray[np.float64] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def candidates(boxes: Floats, scores: NDArray[np.float32], step: NonMaximumSuppression) -> tuple[Indices, Indices]:
    """Return box and class of each candidate, the best first.

    Args:
        boxes: FP32 [n, 4] as ``xyxy``.
        scores: FP32 [n, classes].
        step: Says which there are.
    """
    if step.classes == "best":
        classes = argmax(scores, -1)[:, np.newaxis]
        offered = np.take_along_axis(scores, classes, axis=-1)
    else:
        classes = np.broadcast_to(np.arange(scores.shape[1], dtype=np.int64), scores.shape)
        offered = scores
    is_usable = np.isfinite(boxes).all(axis=-1, keepdims=True)
    rows, columns = np.nonzero(is_usable & (offered.astype(np.float64) >= step.score_threshold))
    values = offered[rows, columns]
    if len(values) > step.max_candidates:
        # Hundreds of thousands take long to sort, and most of them are not wanted.
        is_best = values >= np.partition(values, -step.max_candidates)[-step.max_candidates]
        rows, columns, values = rows[is_best], columns[is_best], values[is_best]
    # nonzero gives them by box and then by class, and a stable sort keeps equals in that order.
    order = np.argsort(-values, kind="stable")[: step.max_candidates]
    return rows[order].astype(np.int64), classes[rows, columns][order]


def suppress(boxes: Floats, classes: Indices, step: NonMaximumSuppression) -> list[int]:
    """Return the positions of the candidates to keep.

    Args:
        boxes: Of each candidate, the best first; FP32 [n, 4] as ``xyxy``.
        classes: Of each candidate.
        step: Says how much may overlap, and how many are kept.
    """
    wide = boxes.astype(np.float64)

    def clash(one: Indices, other: Indices | list[int]) -> NDArray[np.bool_]:
        is_over: NDArray[np.bool_] = overlaps(wide[one], wide[other]) > step.iou_threshold
        return is_over if step.across_classes else is_over & (classes[one][:, np.newaxis] == classes[other])

    kept: list[int] = []
    # Whoever is kept is compared with a block of candidates at a time: most often the first few blocks are enough.
    for start in range(0, len(wide), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(wide)), dtype=np.int64)
        block = block[~clash(block, kept).any(axis=1)]
        within = clash(block, block)
        is_out = np.zeros(len(block), dtype=np.bool_)
        for i, candidate in enumerate(block.tolist()):
            if not is_out[i]:
                kept.append(candidate)
                is_out |= within[i]
                if len(kept) == step.max_boxes:
                    return kept
    return kept


def to_original(boxes: Floats, scale: Floats, size: tuple[int, int] | None, step: ScaleBoxes) -> NDArray[np.float32]:
    """Return boxes on the image that was sent.

    Args:
        boxes: FP32 [..., 4], on the image that the model saw.
        scale: FP32 [4], as ``resize@1`` gives it; finite, and the first two above 0.
        size: Height and width of the image to whose edges boxes are cut; None leaves them as they are.
        step: Says what form boxes have.
    """
    scale_y, scale_x, pad_y, pad_x = scale.astype(np.float64)
    corners: Floats = as_corners(boxes.astype(np.float64), step.form)
    height, width = step.shares_of or (1, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        corners = (corners * ([width, height] * 2) - ([pad_x, pad_y] * 2)) / ([scale_x, scale_y] * 2)
        if size is not None:
            corners = np.clip(corners, 0, [size[1], size[0]] * 2)
        return np.asarray(corners, dtype=np.float32)


def _areas(boxes: Floats) -> Floats:
    sizes: Floats = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sizes.prod(axis=-1))


def _suppression(step: NonMaximumSuppression, _: Resources) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        given, scores = (arrays[name].astype(np.float32, copy=False) for name in step.reads)
        corners = as_corners(given.reshape(-1, SIDES), step.form)
        scores = scores.reshape(len(corners), scores.shape[-1] if scores.ndim == given.ndim else 1)
        rows, classes = candidates(corners, scores, step)
        kept = suppress(corners[rows], classes, step)
        rows, classes = rows[kept], classes[kept]
        shape = (*given.shape[:-2], len(kept))
        return {
            step.kept_boxes: corners[rows].reshape(*shape, SIDES),
            step.kept_scores: scores[rows, classes].reshape(shape),
            step.kept_classes: classes.reshape(shape),
        }

    return kernel


def _scaling_of(step: ScaleBoxes) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        boxes, scale = (arrays[name].astype(np.float32, copy=False) for name in (step.input, step.scale))
        if not (np.isfinite(scale).all() and (scale[:2] > 0).all()):
            raise TensorError(f"step scale_boxes@1: {step.scale} is {scale.tolist()}, which no image is scaled by")
        size = None
        if step.image is not None:
            height, width, _ = arrays[step.image].shape
            size = (height, width)
        return {step.output: to_original(boxes, scale, size, step)}

    return kernel


def _scale_boxes(step: ScaleBoxes, _: Resources) -> Kernel:
    return ScalableKernel(step, _scaling_of)


KERNELS: Final[dict[type, Compile]] = {NonMaximumSuppression: _suppression, ScaleBoxes: _scale_boxes}
