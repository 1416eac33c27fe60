"""Steps on images: out of a file, to a size, to a part. An image is UINT8 or FP32 [height, width, channels], from the top left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.arrays import MAX_ELEMENTS, Value, bounded, check_value
from edged.pipeline.steps.base import MisfitError, OneToOne, wanted
from edged.pipeline.steps.files import file_of
from edged.pipeline.steps.scaling import Scaling

MAX_SIDE: Final = 1 << 14

Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_SIDE)]
Grey = Annotated[int, msgspec.Meta(ge=0, le=255)]
ImageFormat = Literal["bmp", "jpeg", "png", "webp"]


class DecodeImage(OneToOne, frozen=True, kw_only=True, tag="decode_image@1"):
    """The pixels of an image file; BYTES [1] in, UINT8 [height, width, 3] (``rgb``) or [height, width, 1] (``grey``) out.

    The format is told from the first bytes and has to be one of ``formats``; of an animation, the first picture is taken. A file that
    claims more than ``max_pixels`` is refused before it is decoded, one that ends early or is damaged where that can be told, as well.

    Pixels become 8-bit RGB, or grey where the file is: 16 bits keep the upper 8; CMYK becomes ``(255 - c) * (255 - k) / 255``, rounded,
    for each of c, m and y; colour profiles and gamma are not applied. Where the file has transparency, each channel then becomes ``(v *
    alpha + background * (255 - alpha)) / 255``, rounded; the one transparent colour that a PNG file with 16 bits a channel can name is
    ignored. For ``grey``, RGB becomes ``(19595 * r + 38470 * g + 7471 * b + 32768) / 65536``, rounded down; for ``rgb``, grey becomes
    three equal channels. With ``orient``, the image is turned and mirrored as the EXIF orientation (tag 0x0112 of the first directory,
    1 to 8) asks. JPEG is decoded as libjpeg-turbo does by default (accurate integer transform, smooth upsampling of colours); other
    decoders may differ by a few grey levels.
    """

    mode: Literal["rgb", "grey"] = "rgb"
    formats: Annotated[tuple[ImageFormat, ...], msgspec.Meta(min_length=1)] = ("bmp", "jpeg", "png", "webp")
    max_pixels: Annotated[int, msgspec.Meta(ge=1, le=MAX_ELEMENTS)] = 1 << 24
    orient: bool = True
    background: tuple[Grey, Grey, Grey] = (255, 255, 255)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """UINT8 [any, any, 3] or [any, any, 1]."""
        file_of(known, self.input)
        return (TensorSpec(name=self.output, dtype="UINT8", shape=(-1, -1, 3 if self.mode == "rgb" else 1)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image comes to lie on another: its new size, and how far its top left is from the other's (negative where it is cut)."""

    height: int
    width: int
    top: int
    left: int


_UNUSED: Final[Mapping[str, Mapping[str, object]]] = {
    "stretch": {"enlarge": True, "pad": 0.0, "position": "centre"},
    "cover": {"enlarge": True, "pad": 0.0},
    "letterbox": {},
}
"""Keys of ``resize@1`` that mean nothing for a fit, and so may not be given there."""


class Resize(OneToOne, frozen=True, kw_only=True, tag="resize@1"):
    """An image in another size; UINT8 or FP32 [h, w, c] in, the same datatype [height, width, c] out.

    **Placement.** The image gets the size [h', w'] and lies on the output with its top left at (top, left):

    - ``stretch``: h' = height, w' = width, top = left = 0.
    - ``letterbox``: the largest size of the same proportions that fits in, and, unless ``enlarge``, is not larger than the image. If
      height * w <= width * h then h' = height and w' = height * w / h, otherwise w' = width and h' = width * h / w; rounded, half up, but
      at least 1. In the ``centre``, top is (height - h') / 2 and left likewise, rounded down; at the ``top_left`` both are 0. The rest of
      the output is ``pad``.
    - ``cover``: the smallest size of the same proportions that covers the output: the other of the two sizes above, rounded likewise;
      what is outside is cut. In the ``centre``, top is -((h' - height) / 2) with the division rounded down; at the ``top_left``, 0.

    ``scale``, where it is named, is FP32 [4]: h' / h, w' / w, top, left. A point at (y, x) of the image is at (y * scale[0] + scale[2], x *
    scale[1] + scale[3]) of the output; pixel i reaches from i to i + 1.

    **Values.** Every channel by itself. With ``nearest``, pixel i of n' is pixel (2 * i + 1) * n / (2 * n'), rounded down, of n.
    ``antialias`` makes no difference to it.

    Without ``antialias``, pixel i is taken at x = (i + 0.5) * n / n' - 0.5: with x0 = floor(x) and t = x - x0, computed in FP64,
    ``bilinear`` gives pixels x0 and x0 + 1 the weights 1 - t and t. ``bicubic`` gives pixels x0 - 1 to x0 + 2 the weights f(1 + t), f(t),
    f(1 - t), f(2 - t), where f(d) is (1.25 * d - 2.25) * d * d + 1 up to 1, and ((-0.75 * d + 3.75) * d - 6) * d + 3 beyond (a = -0.75).
    Pixels outside are the nearest inside. Weights are rounded to FP32, products and sums likewise, in that order; first down the columns,
    then along the rows. As ONNX's Resize (half_pixel), PyTorch and OpenCV have it.

    With ``antialias``, all pixels count that a filter reaches which is as wide as the image is shrunk, as in Pillow's ``Image.resize``.
    With s = max(n / n', 1), r = s for ``bilinear`` or 2 * s for ``bicubic``, and x = (i + 0.5) * n / n', pixels from floor(x - r + 0.5)
    to floor(x + r + 0.5) - 1 that are inside get the weights f((j - x + 0.5) / s) divided by their sum, in FP64, where f(d) is max(1 -
    abs(d), 0) for ``bilinear`` and, for ``bicubic``, that above with a = -0.5 and 0 from 2 on. First along the rows, then down the
    columns. UINT8: each weight is rounded to a multiple of 2**-22 (half away from zero), and each direction's sum to an integer, half up.
    FP32: sums in FP64, rounded to FP32 after each direction.

    UINT8 results are rounded, half to even where nothing else is said, and brought into 0 to 255. Neither filter is applied in a direction
    in which the size stays. NaN and infinity spread as arithmetic has it. Where h * w' * c, h' * w * c or h' * w' * c is more than 2**26,
    the image is refused.

    With ``scaling``, ``height`` and ``width`` are smaller where the device's policy asks for less.
    """

    SIZES: ClassVar[Sequence[str]] = ("height", "width")

    height: Side
    width: Side
    filter: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    fit: Literal["stretch", "letterbox", "cover"] = "stretch"
    position: Literal["centre", "top_left"] = "centre"
    enlarge: bool = True
    pad: Value = 0.0
    scale: TensorName | None = None
    scaling: Scaling | None = None

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output`` and, where it is named, ``scale``."""
        return (self.output,) if self.scale is None else (self.output, self.scale)

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype [height, width, c], and FP32 [4]."""
        spec = image_of(known, self.input)
        check_value(self.pad, spec, "pad")
        for key, default in _UNUSED[self.fit].items():
            if (found := getattr(self, key)) != default:
                raise MisfitError(key, expected=f"nothing, as fit is {self.fit}", found=found)
        output = TensorSpec(name=self.output, dtype=spec.dtype, shape=(self.height, self.width, spec.shape[2]))
        scale = () if self.scale is None else (TensorSpec(name=self.scale, dtype="FP32", shape=(4,)),)
        return (bounded(output), *scale)

    def placement(self, height: int, width: int) -> Placement:
        """Return where an image of a size comes to lie on the output."""
        if self.fit == "stretch":
            return Placement(height=self.height, width=self.width, top=0, left=0)
        is_narrow = self.height * width <= self.width * height
        if self.fit == "letterbox" and not self.enlarge and height <= self.height and width <= self.width:
            new_height, new_width = height, width
        elif is_narrow == (self.fit == "letterbox"):
            new_height, new_width = self.height, max(_rounded(self.height * width, height), 1)
        else:
            new_height, new_width = max(_rounded(self.width * height, width), 1), self.width
        if self.position == "top_left":
            return Placement(height=new_height, width=new_width, top=0, left=0)
        top, left = (_half(room) for room in (self.height - new_height, self.width - new_width))
        return Placement(height=new_height, width=new_width, top=top, left=left)


class Crop(OneToOne, frozen=True, kw_only=True, tag="crop@1"):
    """A part of an image; UINT8 or FP32 [h, w, c] in, the same datatype [h', w', c] out.

    Its size is ``height`` and ``width``, or, where ``multiple`` is given in their place, the largest multiples of it that the image has.
    Its top left is at (``top``, ``left``); where that is not given, the part is in the centre: at (h - h') / 2, rounded down, and likewise.
    An image that does not have all of the part is refused; ``pad_to@1`` makes one larger.
    """

    height: Side | None = None
    width: Side | None = None
    multiple: Side | None = None
    top: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] | None = None
    left: Annotated[int, msgspec.Meta(ge=0, le=1 << 24)] | None = None

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """The same datatype [h', w', c]."""
        spec = image_of(known, self.input)
        given = [key for key in ("height", "width", "multiple") if getattr(self, key) is not None]
        if given not in (["height", "width"], ["multiple"]):
            found = " and ".join(given) or "none of them"
            raise MisfitError("height", expected="height and width, or multiple", found=found)
        rows = self._part("height", spec, 0, self.height, self.top)
        columns = self._part("width", spec, 1, self.width, self.left)
        return (TensorSpec(name=self.output, dtype=spec.dtype, shape=(rows, columns, spec.shape[2])),)

    def _part(self, key: str, spec: TensorSpec, axis: int, wanted_size: int | None, start: int | None) -> int:
        size = spec.shape[axis]
        if size < 0:
            return -1 if wanted_size is None else wanted_size
        room = max(size - (start or 0), 0)
        part = room - room % (self.multiple or 1) if wanted_size is None else wanted_size
        if not 0 < part <= room:
            found = (key, wanted_size) if wanted_size is not None else ("multiple", self.multiple)
            raise MisfitError(found[0], expected=f"at most {room}, as {spec.name} is {spec}", found=found[1])
        return part


def image_of(known: Mapping[str, TensorSpec], name: str) -> TensorSpec:
    """Return the type of an image: UINT8 or FP32 [height, width, channels], none of them 0.

    Raises:
        MisfitError: It is something else.
    """
    spec = wanted(known, name, "UINT8", "FP32", rank=3)
    if 0 in spec.shape:
        raise MisfitError("input", expected="an image with pixels", found=f"{name}, which is {spec}")
    return spec


def _rounded(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor)


def _half(room: int) -> int:
    return room // 2 if room >= 0 else -(-room // 2)
