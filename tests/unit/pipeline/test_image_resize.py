"""Resized and cropped images against the formulas of their descriptions, Pillow, and ONNX Runtime."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from edged.errors import TensorError
from edged.pipeline.kernels.resampling import taps
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.steps.image import Crop, Resize
from edged.worker.backends.ort import OnnxRuntime
from tests.fakes import models
from tests.fakes.single_steps import run, spec

sizes = st.integers(1, 12)
tapped = st.sampled_from(["bilinear", "bicubic"])
images = hnp.arrays(np.uint8, st.tuples(sizes, sizes, st.integers(1, 4)))
float_images = hnp.arrays(
    np.float32, st.tuples(sizes, sizes, st.integers(1, 2)), elements=st.floats(-1000, 1000, width=32)
)


def resize(height, width, **keys) -> Resize:
    return Resize(input="image", output="small", height=height, width=width, **keys)


def kernel_of(filter_: str, distance: float, sharpness: float) -> float:
    """The two filters, as functions of the distance from the centre."""
    d = abs(distance)
    if filter_ == "bilinear":
        return max(1 - d, 0)
    if d < 1:
        return ((sharpness + 2) * d - (sharpness + 3)) * d * d + 1
    return ((d - 5) * d + 8) * d * sharpness - 4 * sharpness if d < 2 else 0


def described_weights(old: int, new: int, filter_: str) -> list[dict[int, float]]:
    """For each new pixel, the old ones it is made of and their weights, with antialiasing."""
    s = max(old / new, 1)
    r = s * (1 if filter_ == "bilinear" else 2)
    weights = []
    for i in range(new):
        x = (i + 0.5) * old / new
        inside = range(max(math.floor(x - r + 0.5), 0), min(math.floor(x + r + 0.5), old))
        of = {j: kernel_of(filter_, (j - x + 0.5) / s, -0.5) for j in inside}
        weights.append({j: weight / sum(of.values()) for j, weight in of.items()})
    return weights


def described_rows(rows, new: int, filter_: str):
    """Antialias UINT8 rows [row][column] along the columns, with integers only."""
    if len(rows[0]) == new:
        return rows
    made = []
    for weights in described_weights(len(rows[0]), new, filter_):
        fixed = {j: math.copysign(math.floor(abs(w) * 2**22 + 0.5), w) for j, w in weights.items()}
        made.append([min(max((sum(int(fixed[j]) * row[j] for j in fixed) + 2**21) >> 22, 0), 255) for row in rows])
    return [list(row) for row in zip(*made, strict=True)]


@settings(max_examples=60)
@given(image=images, height=sizes, width=sizes, filter_=tapped)
def test_bytes_are_antialiased_as_described_to_the_last_bit(image, height, width, filter_):
    """The description is enough to do it again: in whole numbers, first along the rows, then down the columns."""
    got = run(resize(height, width, filter=filter_), image=image)["small"]

    for channel in range(image.shape[2]):
        rows = described_rows(image[..., channel].tolist(), width, filter_)
        columns = described_rows([list(column) for column in zip(*rows, strict=True)], height, filter_)
        assert got[..., channel].T.tolist() == columns


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    ("filter_", "pillows"), [("bilinear", Image.Resampling.BILINEAR), ("bicubic", Image.Resampling.BICUBIC)]
)
@pytest.mark.parametrize("size", [(24, 17), (120, 200), (61, 97), (1, 1)])
def test_antialiased_bytes_equal_pillows_but_for_the_order_of_the_directions(mode, filter_, pillows, size):
    pixels = np.random.default_rng(5).integers(0, 256, (61, 97, len(mode)), dtype=np.uint8)
    picture = Image.fromarray(pixels[..., 0] if mode == "L" else pixels)

    got = run(resize(*size, filter=filter_), image=pixels)["small"]

    rows = picture.resize((size[1], picture.height), pillows)
    np.testing.assert_array_equal(got, np.asarray(rows.resize(size[::-1], pillows)).reshape(got.shape))
    at_once = np.asarray(picture.resize(size[::-1], pillows)).reshape(got.shape)
    np.testing.assert_allclose(got.astype(int), at_once.astype(int), atol=1)


def test_a_fourth_channel_is_a_channel_like_the_others():
    """Pillow would take it for transparency, and weigh the colours with it."""
    pixels = np.random.default_rng(5).integers(0, 256, (9, 9, 4), dtype=np.uint8)

    got = run(resize(4, 4), image=pixels)["small"]

    np.testing.assert_array_equal(got[..., :3], run(resize(4, 4), image=pixels[..., :3].copy())["small"])


@settings(max_examples=60)
@given(image=float_images, height=sizes, width=sizes, filter_=tapped)
def test_floats_are_antialiased_as_described(image, height, width, filter_):
    got = run(resize(height, width, filter=filter_), image=image)["small"]

    made = image.astype(np.float64)
    for axis, new in ((1, width), (0, height)):
        old = made.shape[axis]
        matrix = np.zeros((new, old))
        for i, weights in enumerate(described_weights(old, new, filter_)):
            matrix[i, list(weights)] = list(weights.values())
        if old != new:
            made = np.moveaxis(np.tensordot(matrix, made, (1, axis)), 0, axis)
    np.testing.assert_allclose(got, made, rtol=1e-5, atol=1e-3)


def onnx_resize(image, height: int, width: int, **attributes):
    """What ONNX Runtime's Resize makes of an image."""
    channels = image.shape[2]
    old, new = [1, channels, *image.shape[:2]], [1, channels, height, width]
    node = models.helper.make_node(
        "Resize", ["x", "", "", "sizes"], ["y"], coordinate_transformation_mode="half_pixel", **attributes
    )
    model = models.build(
        [node],
        [("x", models.FLOAT, old)],
        [("y", models.FLOAT, new)],
        initializers=[models.constant("sizes", new, np.int64)],
    )
    inputs, outputs = (spec(f"FP32 {' '.join(map(str, shape))}", name) for name, shape in (("x", old), ("y", new)))
    session = OnnxRuntime().load_graph(model.SerializeToString(), (inputs,), (outputs,))
    made = session.run({"x": image.transpose(2, 0, 1)[np.newaxis].copy()}, session.new_stop())
    return made["y"][0].transpose(1, 2, 0)


ATTRIBUTES = {
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.75},
    "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_ceil"},
}


@pytest.mark.parametrize("filter_", ATTRIBUTES)
@pytest.mark.parametrize("size", [(5, 13), (16, 24), (9, 4), (30, 3), (8, 12), (1, 1)])
def test_without_antialiasing_it_is_onnxs_resize(filter_, size):
    """Its half_pixel coordinates, which are those of PyTorch and OpenCV as well."""
    image = np.random.default_rng(7).standard_normal((8, 12, 2)).astype(np.float32)

    got = run(resize(*size, filter=filter_, antialias=False), image=image)["small"]

    np.testing.assert_allclose(got, onnx_resize(image, *size, **ATTRIBUTES[filter_]), rtol=1e-5, atol=1e-5)


@settings(max_examples=60)
@given(old=st.integers(1, 40), new=st.integers(1, 40), filter_=tapped)
def test_weights_without_antialiasing_are_the_filters_at_the_pixels_distances(old, new, filter_):
    made = taps(old, new, range(new), filter_)

    radius = 1 if filter_ == "bilinear" else 2
    for i in range(new):
        x = (i + 0.5) * old / new - 0.5
        pixels = range(math.floor(x) - radius + 1, math.floor(x) + radius + 1)
        assert made.sources[:, i].tolist() == [min(max(j, 0), old - 1) for j in pixels]
        wanted = [kernel_of(filter_, x - j, -0.75) for j in pixels]
        np.testing.assert_allclose(made.weights[:, i], wanted, atol=1e-6)


@given(image=images, height=sizes, width=sizes, filter_=tapped)
def test_bytes_are_the_floats_rounded(image, height, width, filter_):
    """Without antialiasing both are computed alike; bytes are rounded once, at the end."""
    step = resize(height, width, filter=filter_, antialias=False)

    got, floats = (run(step, image=pixels)["small"] for pixels in (image, image.astype(np.float32)))

    np.testing.assert_array_equal(got, np.rint(floats).clip(0, 255).astype(np.uint8))


@given(image=images, height=sizes, width=sizes, antialias=st.booleans())
def test_the_nearest_pixel_is_the_one_under_the_new_ones_centre(image, height, width, antialias):
    got = run(resize(height, width, filter="nearest", antialias=antialias), image=image)["small"]

    h, w, _ = image.shape
    for y, x in np.ndindex(height, width):
        assert (got[y, x] == image[(2 * y + 1) * h // (2 * height), (2 * x + 1) * w // (2 * width)]).all()


@given(
    image=images,
    filter_=st.sampled_from(["nearest", "bilinear", "bicubic"]),
    antialias=st.booleans(),
    fit=st.sampled_from(["stretch", "letterbox", "cover"]),
)
def test_an_image_of_the_right_size_stays_as_it_is(image, filter_, antialias, fit):
    step = resize(*image.shape[:2], filter=filter_, antialias=antialias, fit=fit)

    np.testing.assert_array_equal(run(step, image=image)["small"], image)


@given(h=st.integers(1, 300), w=st.integers(1, 300), height=sizes, width=sizes, enlarge=st.booleans())
def test_a_letterboxed_image_fits_in_and_keeps_its_proportions(h, w, height, width, enlarge):
    place = resize(height, width, fit="letterbox", enlarge=enlarge).placement(h, w)

    ratio = min(height / h, width / w)
    if not enlarge:
        ratio = min(ratio, 1)
    assert place.height <= height
    assert place.width <= width
    assert abs(place.height - max(h * ratio, 1)) <= 0.5 + 1e-9
    assert abs(place.width - max(w * ratio, 1)) <= 0.5 + 1e-9
    assert 0 <= height - place.height - 2 * place.top <= 1
    assert 0 <= width - place.width - 2 * place.left <= 1


@given(h=st.integers(1, 300), w=st.integers(1, 300), height=sizes, width=sizes)
def test_a_covering_image_leaves_nothing_free_and_keeps_its_proportions(h, w, height, width):
    place = resize(height, width, fit="cover").placement(h, w)

    ratio = max(height / h, width / w)
    assert place.height >= height
    assert place.width >= width
    assert abs(place.height - h * ratio) <= 0.5 + 1e-9
    assert abs(place.width - w * ratio) <= 0.5 + 1e-9
    assert 0 <= place.height - height + 2 * place.top <= 1
    assert 0 <= place.width - width + 2 * place.left <= 1


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("filter_", ["nearest", "bilinear", "bicubic"])
def test_a_letterbox_has_the_resized_image_in_it_and_nothing_else(antialias, filter_):
    pixels = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    keys = {"antialias": antialias, "filter": filter_}

    got = run(resize(12, 9, fit="letterbox", pad=114, **keys), image=pixels)["small"]

    np.testing.assert_array_equal(got[3:9], run(resize(6, 9, **keys), image=pixels)["small"])
    assert (np.delete(got, range(3, 9), axis=0) == 114).all()


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("filter_", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("position", "left"), [("centre", 2), ("top_left", 0)])
def test_a_cover_is_a_part_of_the_resized_image(antialias, filter_, position, left):
    pixels = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    keys = {"antialias": antialias, "filter": filter_}

    got = run(resize(10, 10, fit="cover", position=position, **keys), image=pixels)["small"]

    whole = run(resize(10, 15, **keys), image=pixels)["small"]
    np.testing.assert_array_equal(got, whole[:, left : left + 10])


@pytest.mark.parametrize(
    ("fit", "position"),
    [
        ("stretch", "centre"),
        ("letterbox", "centre"),
        ("letterbox", "top_left"),
        ("cover", "centre"),
        ("cover", "top_left"),
    ],
)
def test_the_scale_tells_where_a_point_has_gone(fit, position):
    """A box that a model finds in the small image is brought back with it."""
    image = np.zeros((40, 60, 1), np.float32)
    image[8:24, 20:40] = 1

    made = run(resize(20, 50, fit=fit, position=position, scale="scale"), image=image)

    scale_y, scale_x, top, left = made["scale"].tolist()
    rows, columns = np.nonzero(made["small"][..., 0] > 0.5)
    for old, new, scale, start, room in (
        ((8, 24), (rows.min(), rows.max() + 1), scale_y, top, 20),
        ((20, 40), (columns.min(), columns.max() + 1), scale_x, left, 50),
    ):
        for before, after in zip(old, new, strict=True):
            assert after == pytest.approx(min(max(before * scale + start, 0), room), abs=0.51)


def test_an_image_that_would_grow_too_large_on_the_way_is_refused():
    """16 thousand rows of a million pixels would be needed before the columns are shortened; and as many to be cut off."""
    wide = np.zeros((1, 1 << 20, 1), np.uint8)

    for keys in ({"antialias": False}, {"antialias": True}, {"fit": "cover"}):
        with pytest.raises(TensorError, match="elements on the way; at most 67108864"):
            run(resize(16384, 4, **keys), image=wide)


@pytest.mark.parametrize(
    ("step", "given", "key"),
    [
        (resize(4, 4), "UINT8 4 4", "input"),
        (resize(4, 4), "INT32 4 4 3", "input"),
        (resize(4, 4), "UINT8 0 4 3", "input"),
        (resize(4, 4, fit="letterbox", pad=300), "UINT8 4 4 3", "pad"),
        (resize(4, 4, fit="letterbox", pad=0.5), "UINT8 4 4 3", "pad"),
        (resize(4, 4, enlarge=False), "UINT8 4 4 3", "enlarge"),
        (resize(4, 4, fit="cover", pad=1), "UINT8 4 4 3", "pad"),
        (resize(4, 4, position="top_left"), "UINT8 4 4 3", "position"),
        (resize(16384, 16384), "UINT8 4 4 3", "output"),
        (Crop(input="image", output="part", height=4), "UINT8 4 4 3", "height"),
        (Crop(input="image", output="part"), "UINT8 4 4 3", "height"),
        (Crop(input="image", output="part", height=4, width=4, multiple=4), "UINT8 4 4 3", "height"),
        (Crop(input="image", output="part", height=4, width=5), "UINT8 4 4 3", "width"),
        (Crop(input="image", output="part", height=4, width=4, top=1), "UINT8 4 4 3", "height"),
        (Crop(input="image", output="part", multiple=5), "UINT8 9 4 3", "multiple"),
        (Crop(input="image", output="part", multiple=4, left=9), "UINT8 9 4 3", "multiple"),
    ],
)
def test_what_a_step_does_not_take_is_found_in_the_manifest(step, given, key):
    with pytest.raises(MisfitError) as caught:
        step.gives({"image": spec(given, "image")})

    assert caught.value.key == key


@pytest.mark.parametrize(
    ("step", "shape", "message"),
    [
        (resize(4, 4), (0, 4, 3), r"step resize@1: input: expected an image with pixels, got image, .*\[0, 4, 3\]"),
        (Crop(input="image", output="part", height=4, width=5), (4, 4, 3), r"step crop@1: width: expected at most 4"),
        (Crop(input="image", output="part", multiple=32), (64, 31, 3), r"step crop@1: multiple: expected at most 31"),
    ],
)
def test_what_a_step_does_not_take_is_told_to_the_app(step, shape, message):
    with pytest.raises(TensorError, match=message):
        run(step, image=np.zeros(shape, np.uint8))


@given(image=images, height=sizes, width=sizes)
def test_a_crop_is_the_middle_of_the_image(image, height, width):
    h, w, _ = image.shape
    step = Crop(input="image", output="part", height=height, width=width)
    if height > h or width > w:
        with pytest.raises(TensorError, match="crop@1"):
            run(step, image=image)
        return

    got = run(step, image=image)["part"]

    top, left = (h - height) // 2, (w - width) // 2
    np.testing.assert_array_equal(got, image[top : top + height, left : left + width])


@given(image=images, multiple=st.integers(1, 5), top=st.integers(0, 3))
def test_a_crop_to_multiples_loses_less_than_one_of_them(image, multiple, top):
    h, w, _ = image.shape
    step = Crop(input="image", output="part", multiple=multiple, top=top)
    if h - top < multiple or w < multiple:
        with pytest.raises(TensorError, match="crop@1"):
            run(step, image=image)
        return

    got = run(step, image=image)["part"]

    assert [size % multiple for size in got.shape[:2]] == [0, 0]
    assert h - top - multiple < got.shape[0] <= h - top
    assert w - multiple < got.shape[1] <= w
    left = (w - got.shape[1]) // 2
    np.testing.assert_array_equal(got, image[top : top + got.shape[0], left : left + got.shape[1]])
