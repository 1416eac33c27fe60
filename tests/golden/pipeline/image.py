"""Golden cases of ``edged.pipeline.steps.image``.

The files are made by whatever Pillow there is; what counts afterwards are the bytes that were written down.
"""

import io

import numpy as np
from PIL import Image

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.image import Crop, DecodeImage, Resize
from tests.golden.pipeline.vectors import Tolerance, case, texts

RANDOM = np.random.default_rng(20)
RGB = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RANDOM.integers(0, 256, (6, 5, 1), dtype=np.uint8)
FLOATS = RANDOM.standard_normal((4, 6, 2), dtype=np.float32)
# Neighbours that are alike, as JPEG expects them.
SMOOTH = np.add.outer(np.arange(9) * 9, np.arange(10) * 14)[..., np.newaxis] + np.array([0, 20, 40])


def _file(image: Image.Image, kind: str, **options) -> dict:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return {"file": texts(out.getvalue())}


def _oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def _decode(**keys) -> DecodeImage:
    return DecodeImage(input="file", output="image", **keys)


def _resize(height, width, **keys) -> Resize:
    return Resize(input="image", output="small", height=height, width=width, **keys)


def _crop(**keys) -> Crop:
    return Crop(input="image", output="part", **keys)


_RGB = Image.fromarray(RGB)
_GREY = Image.fromarray(GREY[..., 0])
_DEEP = Image.fromarray(GREY[..., 0].astype(np.uint16) * 255)
_SMOOTH = Image.fromarray(SMOOTH.astype(np.uint8))
_CLEAR = Image.fromarray(np.concatenate([RGB, RGB[..., :1]], axis=2))

# Other processors may fuse a product and a sum.
TOLERANCES = {"resize@1": Tolerance(absolute=1e-6, relative=1e-6)}

CASES = [
    case("PNG", _decode(), _file(_RGB, "PNG")),
    case("PNG to grey", _decode(mode="grey"), _file(_RGB, "PNG")),
    case("grey PNG", _decode(mode="grey"), _file(_GREY, "PNG")),
    case("grey PNG to RGB", _decode(), _file(_GREY, "PNG")),
    case("PNG with a palette", _decode(), _file(_RGB.quantize(4), "PNG")),
    case("PNG of one bit", _decode(mode="grey"), _file(_GREY.convert("1"), "PNG")),
    case("PNG of 16 bits", _decode(mode="grey"), _file(_DEEP, "PNG")),
    case("transparent PNG on white", _decode(), _file(_CLEAR, "PNG")),
    case("transparent PNG on a colour", _decode(background=(10, 200, 30)), _file(_CLEAR, "PNG")),
    case("PNG with a transparent colour", _decode(mode="grey"), _file(_GREY, "PNG", transparency=int(GREY[1, 1, 0]))),
    case("BMP", _decode(), _file(_RGB, "BMP")),
    case("JPEG with halved colours", _decode(), _file(_SMOOTH, "JPEG", quality=85, subsampling=2)),
    case("JPEG with full colours to grey", _decode(mode="grey"), _file(_SMOOTH, "JPEG", quality=60, subsampling=0)),
    case("progressive JPEG", _decode(), _file(_SMOOTH, "JPEG", progressive=True)),
    case("grey JPEG", _decode(mode="grey"), _file(_SMOOTH.convert("L"), "JPEG")),
    case("JPEG of CMYK", _decode(), _file(_SMOOTH.convert("CMYK"), "JPEG")),
    *(
        case(f"JPEG of orientation {i}", _decode(mode="grey"), _file(_SMOOTH, "JPEG", exif=_oriented(i), quality=30))
        for i in range(1, 9)
    ),
    case(
        "JPEG left as it lies",
        _decode(orient=False, mode="grey"),
        _file(_SMOOTH, "JPEG", exif=_oriented(6), quality=30),
    ),
    case("WebP without loss", _decode(), _file(_RGB, "WEBP", lossless=True)),
    case("WebP with loss", _decode(), _file(_SMOOTH, "WEBP", quality=80)),
    case("WebP with transparency", _decode(background=(0, 0, 0)), _file(_CLEAR, "WEBP", lossless=True, exact=True)),
    case("smaller", _resize(3, 4), {"image": RGB}),
    case("larger", _resize(7, 9), {"image": RGB}),
    case("smaller, bicubic", _resize(3, 4, filter="bicubic"), {"image": RGB}),
    case("grey and bicubic", _resize(4, 7, filter="bicubic"), {"image": GREY}),
    case("floats", _resize(3, 5), {"image": FLOATS}),
    case("floats, bicubic", _resize(3, 5, filter="bicubic"), {"image": FLOATS}),
    case("not antialiased", _resize(3, 4, antialias=False), {"image": RGB}),
    case("not antialiased, larger", _resize(7, 9, antialias=False), {"image": RGB}),
    case("not antialiased, bicubic", _resize(3, 9, antialias=False, filter="bicubic"), {"image": RGB}),
    case("floats, not antialiased", _resize(3, 9, antialias=False), {"image": FLOATS}),
    case("floats, not antialiased, bicubic", _resize(7, 4, antialias=False, filter="bicubic"), {"image": FLOATS}),
    case("nearest", _resize(3, 9, filter="nearest"), {"image": RGB}),
    case("nearest of floats", _resize(8, 4, filter="nearest"), {"image": FLOATS}),
    case("letterbox", _resize(6, 6, fit="letterbox", pad=114, scale="scale"), {"image": RGB}),
    case(
        "letterbox of any size at the top left",
        _resize(8, 5, fit="letterbox", position="top_left", antialias=False, scale="scale"),
        {"image": GREY},
        types=(TensorSpec(name="image", dtype="UINT8", shape=(-1, -1, 1)),),
    ),
    case(
        "letterbox not enlarged",
        _resize(8, 9, fit="letterbox", enlarge=False, pad=-0.5, scale="scale"),
        {"image": FLOATS},
    ),
    case("cover", _resize(4, 4, fit="cover", scale="scale"), {"image": RGB}),
    case("cover, not antialiased", _resize(3, 8, fit="cover", antialias=False, scale="scale"), {"image": GREY}),
    case(
        "cover at the top left",
        _resize(3, 8, fit="cover", filter="nearest", position="top_left", scale="scale"),
        {"image": GREY},
    ),
    case("stretched, with its scale", _resize(10, 3, scale="scale"), {"image": RGB}),
    case("centre", _crop(height=2, width=4), {"image": RGB}),
    case("a place", _crop(height=2, width=4, top=2, left=0), {"image": FLOATS}),
    case(
        "multiples",
        _crop(multiple=2),
        {"image": RGB},
        types=(TensorSpec(name="image", dtype="UINT8", shape=(-1, 7, 3)),),
    ),
    case("multiples from a place", _crop(multiple=3, top=1, left=1), {"image": RGB}),
]
