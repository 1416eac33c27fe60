"""Image files into pixels: what ``decode_image@1`` computes, with Pillow's decoders.

The bytes come from apps and may be made to do harm, so: 1. only decoders that the step names see them, and which one it is, is told from
the first bytes; 2. the size that a file claims is looked at before anything is allocated for it; 3. whatever a decoder raises is an answer
to the app. Everything that Pillow would import on the way is imported here, because a worker opens no files later.
"""

import struct
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from edged.errors import TensorError
from edged.pipeline.steps.image import DecodeImage, ImageFormat

Bytes = NDArray[np.uint8]

# Damaged metadata is nothing that anybody who reads the journal could mend. Not where the decoder is called: threads share the filters.
warnings.filterwarnings("ignore", module=r"PIL\.")

_DECODERS: Final[Mapping[ImageFormat, Callable[[BytesIO], ImageFile]]] = {
    "bmp": BmpImagePlugin.BmpImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
# Pillow imports it where it meets EXIF data.
_READS_EXIF: Final = TiffImagePlugin
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_ENTRY_BYTES: Final = 12

_TURNS: Final[Mapping[int, Callable[[Bytes], Bytes]]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}
"""What makes an image upright, by its EXIF orientation; 1 is upright already."""


def decode_image(data: bytes, step: DecodeImage) -> Bytes:
    """Return the pixels of an image file.

    Raises:
        TensorError: It is of no format that the step takes, too large, or damaged.
    """
    found = format_of(data)
    if found not in step.formats:
        what = f"a {found} file" if found else "not an image it knows"
        raise TensorError(f"step decode_image@1 takes {', '.join(step.formats)}; {step.input} is {what}")
    try:
        if found == "webp":
            # Its decoder makes room for all pixels as soon as it is made.
            _check_size(webp_size(data), step)
        with _DECODERS[found](BytesIO(data)) as image:
            _check_size(image.size, step)
            image.load()
            orientation = orientation_of(image.info.get("exif", b"")) if step.orient else 1
            if found == "png" and data[24] == 16:
                image.info.pop("transparency", None)
            pixels = _pixels(image, step.background)
    except (TensorError, MemoryError):
        raise
    # Decoders raise half a dozen types for damaged files, and each version of them others.
    except Exception as exc:
        raise TensorError(f"step decode_image@1: {step.input} is a damaged {found} file ({exc})") from exc
    return np.ascontiguousarray(_TURNS.get(orientation, np.asarray)(_in_mode(pixels, step)))


def format_of(data: bytes) -> ImageFormat | None:
    """Tell an image format from its first bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"BM"):
        return "bmp"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return None


def webp_size(data: bytes) -> tuple[int, int]:
    """Return the width and height that a WebP file claims (RFC 9649, sections 2.5 to 2.7).

    Raises:
        ValueError: It begins with no image.
        struct.error: It ends too early.
    """
    match data[12:16]:
        case b"VP8 ":  # a 3-byte frame tag, 3 bytes of start code, then 14 bits each
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":  # a byte of signature, then 14 bits each, less 1
            (bits,) = struct.unpack_from("<I", data, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":  # 4 bytes of flags, then 24 bits each, less 1
            low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
            return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
        case _:
            raise ValueError("no image chunk")


def orientation_of(exif: bytes) -> int:
    """Return the orientation that EXIF data ask for, 1 to 8; 1 where they do not say, or are damaged."""
    tiff = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for i in range(count):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, start + 2 + _ENTRY_BYTES * i)
            if tag == _ORIENTATION and kind == _SHORT:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def over(rgba: Bytes, background: tuple[int, int, int]) -> Bytes:
    """Return RGB of an RGBA image that lies on a background: ``(v * alpha + background * (255 - alpha)) / 255``, rounded."""
    alpha = rgba[..., 3:].astype(np.uint16)
    mixed = rgba[..., :3] * alpha
    mixed += np.array(background, dtype=np.uint16) * (255 - alpha)
    # Division by 255 with rounding, exact for all of 0 to 255 * 255, in 16 bits.
    mixed += 128
    mixed += mixed >> 8
    mixed >>= 8
    return mixed.astype(np.uint8)


def _check_size(size: tuple[int, int], step: DecodeImage) -> None:
    width, height = size
    if width * height > step.max_pixels:
        raise TensorError(
            f"step decode_image@1: {step.input} has {width} x {height} pixels, at most {step.max_pixels} are allowed",
            hint="Send a smaller image.",
        )


def _pixels(image: Image.Image, background: tuple[int, int, int]) -> Bytes:
    """Return a loaded image as 8-bit RGB or grey, [height, width, 3 or 1]."""
    if image.mode.startswith("I"):
        # Grey of 16 bits; Pillow itself would clip it.
        return (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)[..., np.newaxis]
    if image.has_transparency_data:
        return over(_converted(image, "RGBA"), background)
    if image.mode in {"1", "L"}:
        return _converted(image, "L")[..., np.newaxis]
    return _converted(image, "RGB")


def _converted(image: Image.Image, mode: str) -> Bytes:
    # Pillow would make a copy of an image that is right already.
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _in_mode(pixels: Bytes, step: DecodeImage) -> Bytes:
    channels = pixels.shape[2]
    if step.mode == "rgb":
        return pixels if channels == 3 else pixels.repeat(3, axis=2)
    return pixels if channels == 1 else _converted(Image.fromarray(pixels), "L")[..., np.newaxis]
