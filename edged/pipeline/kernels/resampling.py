"""Images in another size: what ``resize@1`` computes. The formulas are in the step's description.

Pillow does what is antialiased, as its C code is many times faster than numpy here; the rest is short in numpy, and elementwise, so that
every machine rounds alike.
"""

from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edged.errors import TensorError
from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources, ScalableKernel
from edged.pipeline.kernels.types import check_types
from edged.pipeline.steps.arrays import MAX_ELEMENTS
from edged.pipeline.steps.image import Placement, Resize

Pixels = NDArray[Any]
"""UINT8 or FP32."""
Filter = Literal["bilinear", "bicubic"]

SHARPNESS: Final = -0.75
"""Of the cubic filter that is not antialiased (its parameter a), as ONNX, PyTorch and OpenCV have it; Pillow's is -0.5."""
_PILLOW: Final = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class Taps(NamedTuple):
    """What each new pixel of an axis is made of: one row for its first source, one for its second, and so on."""

    sources: NDArray[np.int64]
    weights: NDArray[np.float32]


def resize(image: Pixels, step: Resize) -> tuple[Pixels, NDArray[np.float32]]:
    """Return an image in another size, and how its points lie on it: FP32 [4].

    Raises:
        TensorError: It would need too much memory on the way.
    """
    height, width, channels = image.shape
    place = step.placement(height, width)
    largest = max(height * place.width, place.height * width, place.height * place.width) * channels
    if largest > MAX_ELEMENTS:
        raise TensorError(
            f"step resize@1: {step.input} is {list(image.shape)}, and would have {largest} elements on the way;"
            f" at most {MAX_ELEMENTS} are allowed"
        )
    scale = np.array([place.height / height, place.width / width, place.top, place.left], dtype=np.float32)
    rows, columns = _visible(place.height, place.top, step.height), _visible(place.width, place.left, step.width)
    part = _part(image, place, rows, columns, step)
    if step.fit != "letterbox":
        return part, scale
    output = np.full((step.height, step.width, channels), step.pad, dtype=image.dtype)
    output[place.top : place.top + place.height, place.left : place.left + place.width] = part
    return output, scale


def _visible(size: int, start: int, room: int) -> range:
    """Return which of some pixels, the first of which is at ``start``, are within a room."""
    return range(max(-start, 0), min(size, room - start))


def _part(image: Pixels, place: Placement, rows: range, columns: range, step: Resize) -> Pixels:
    """Return some rows and columns of the image in its new size."""
    height, width, _ = image.shape
    if step.filter == "nearest":
        return image[_nearest(height, place.height, rows)][:, _nearest(width, place.width, columns)]
    if step.antialias:
        whole = antialiased(image, place.height, place.width, step.filter)
        return whole[rows.start : rows.stop, columns.start : columns.stop]
    made: NDArray[Any] = image
    for axis, (old, new, wanted) in enumerate(((height, place.height, rows), (width, place.width, columns))):
        if old == new:
            made = made[(*[slice(None)] * axis, slice(wanted.start, wanted.stop))]
        else:
            made = _mixed(made, axis, taps(old, new, wanted, step.filter))
    return _as(made, image.dtype)


def antialiased(image: Pixels, height: int, width: int, filter_: Filter) -> Pixels:
    """Return an image in another size, as Pillow makes it; each channel by itself."""
    if image.dtype == np.uint8 and image.shape[2] == 3:
        return _by_pillow(image, height, width, filter_)
    channels = [_by_pillow(image[..., i], height, width, filter_) for i in range(image.shape[2])]
    return np.stack(channels, axis=-1)


def _by_pillow(picture: Pixels, height: int, width: int, filter_: Filter) -> Pixels:
    # In one call, Pillow takes the columns first for some sizes, and since version 13 for more of them; that rounds otherwise.
    rows = Image.fromarray(np.ascontiguousarray(picture)).resize((width, picture.shape[0]), _PILLOW[filter_])
    return np.asarray(rows.resize((width, height), _PILLOW[filter_]))


def taps(old: int, new: int, wanted: range, filter_: Filter) -> Taps:
    """Return what the wanted ones of ``new`` pixels are made of, out of ``old`` ones, without antialiasing."""
    at = (np.arange(wanted.start, wanted.stop) + 0.5) * old / new - 0.5
    first = np.floor(at)
    t = at - first
    bounds = (0, 1) if filter_ == "bilinear" else (-1, 2)
    weights = [1 - t, t] if filter_ == "bilinear" else [_far(1 + t), _near(t), _near(1 - t), _far(2 - t)]
    sources = first.astype(np.int64) + np.arange(bounds[0], bounds[1] + 1)[:, np.newaxis]
    return Taps(sources.clip(0, old - 1), np.array(weights, dtype=np.float32))


def _near(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    near: NDArray[np.float64] = ((SHARPNESS + 2) * distance - (SHARPNESS + 3)) * distance * distance + 1
    return near


def _far(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    a = SHARPNESS
    far: NDArray[np.float64] = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return far


def _mixed(image: NDArray[Any], axis: int, made_of: Taps) -> NDArray[np.float32]:
    shape = [1, 1, 1]
    shape[axis] = -1
    products = (
        image.take(sources, axis=axis) * weights.reshape(shape)
        for sources, weights in zip(made_of.sources, made_of.weights, strict=True)
    )
    with np.errstate(invalid="ignore", over="ignore"):  # infinity and NaN spread as arithmetic has it
        mixed: NDArray[np.float32] = next(products)
        for product in products:
            mixed += product
    return mixed


def _as(values: NDArray[Any], dtype: np.dtype[Any]) -> Pixels:
    if values.dtype == dtype:
        return values.copy()
    rounded: Pixels = np.rint(values).clip(0, 255).astype(dtype)
    return rounded


def _nearest(old: int, new: int, wanted: range) -> NDArray[np.int64]:
    return (2 * np.arange(wanted.start, wanted.stop, dtype=np.int64) + 1) * old // (2 * new)


def _kernel_of(step: Resize) -> Kernel:
    def kernel(arrays: Arrays) -> Arrays:
        check_types(step, arrays)
        output, scale = resize(arrays[step.input], step)
        made: Arrays = {step.output: np.ascontiguousarray(output)}
        return made if step.scale is None else made | {step.scale: scale}

    return kernel


def _resize(step: Resize, _: Resources) -> Kernel:
    return ScalableKernel(step, _kernel_of)


KERNELS: Final[dict[type, Compile]] = {Resize: _resize}
