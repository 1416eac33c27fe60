"""Draws a dial: Pillow fills the shapes, numpy does what lamp, glass and sensor do to them.

Shapes are drawn three times as large and averaged down, so that edges are soft as a camera's are. Every shape is projected point by
point, so that the truth of ``Dial.angle`` holds in the picture to the rounding of one third of a pixel.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from models.gauge.dials import Camera, Dial, Light, Needle, Scale

SIZE: Final = 128
OVERSAMPLING: Final = 3
CIRCLE: Final = tuple((math.sin(2 * math.pi * n / 72), -math.cos(2 * math.pi * n / 72)) for n in range(72))

Pixels = npt.NDArray[np.uint8]
Points = Iterable[tuple[float, float]]


def draw_dial(dial: Dial, size: int = SIZE) -> Pixels:
    """Draw one dial.

    Args:
        dial: What to draw.
        size: Width and height of the picture in pixels.

    Returns:
        Greys of shape (size, size).
    """
    sheet = _Sheet(dial.camera, size * OVERSAMPLING)
    sheet.wall(dial.wall, dial.clutter)
    rim, rim_grey = dial.bezel
    sheet.disc(1 + rim, rim_grey)
    sheet.disc(1, dial.face)
    _draw_scale(sheet, dial.scale, dial.ink)
    if dial.needle is not None:
        if dial.needle.shade:
            _draw_needle(sheet, dial.needle, dial.face * 0.6, dial.needle.shade)
        _draw_needle(sheet, dial.needle, dial.needle.grey, 0)
    sheet.disc(*dial.hub)
    return _expose(sheet.picture.reduce(OVERSAMPLING), dial.light)


class _Sheet:
    """The large picture, addressed in radii of the face."""

    def __init__(self, camera: Camera, size: int) -> None:
        self.picture = Image.new("L", (size, size))
        self._camera = camera
        self._pen = ImageDraw.Draw(self.picture)
        self._size = size

    def wall(self, greys: tuple[float, float], clutter: Iterable[tuple[float, float, float, float, float]]) -> None:
        for column in range(self._size):
            grey = greys[0] + (greys[1] - greys[0]) * column / self._size
            self._pen.line((column, 0, column, self._size), fill=_ink(grey))
        for x, y, width, height, grey in clutter:
            corners = (x * self._size, y * self._size, (x + width) * self._size, (y + height) * self._size)
            self._pen.rectangle(corners, fill=_ink(grey))

    def polygon(self, points: Points, grey: float) -> None:
        self._pen.polygon([self._place(x, y) for x, y in points], fill=_ink(grey))

    def disc(self, radius: float, grey: float, centre: tuple[float, float] = (0, 0)) -> None:
        self.polygon(((centre[0] + radius * x, centre[1] + radius * y) for x, y in CIRCLE), grey)

    def text(self, text: str, where: tuple[float, float], height: float, grey: float) -> None:
        pixels = max(6, round(height * self._camera.radius * self._size))
        self._pen.text(self._place(*where), text, fill=_ink(grey), font=_font(pixels), anchor="mm")

    def _place(self, x: float, y: float) -> tuple[float, float]:
        right, down = self._camera.project(x, y)
        return right * self._size, down * self._size


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(pixels)


def _ink(grey: float) -> int:
    return round(255 * min(max(grey, 0.0), 1.0))


def _draw_scale(sheet: _Sheet, scale: Scale, ink: float) -> None:
    inner = scale.outer - scale.major_length
    if scale.band is not None:
        begin, end, grey = scale.band
        sheet.polygon(_arc(scale, begin, end, scale.outer - scale.major_length * 0.6, scale.outer), grey)
    if scale.has_arc:
        sheet.polygon(_arc(scale, 0, 1, scale.outer - scale.width / 2, scale.outer), ink)
    marks = scale.majors * scale.minors
    for n in range(marks + 1):
        angle = scale.start + scale.sweep * n / marks
        if n % scale.minors:
            sheet.polygon(_bar(angle, scale.outer - scale.major_length * 0.55, scale.outer, scale.width / 2), ink)
        else:
            sheet.polygon(_bar(angle, inner, scale.outer, scale.width), ink)
    for n, number in enumerate(scale.numbers):
        # A full circle's last number would lie on its first.
        if n == scale.majors and scale.sweep > 360 - 180 / scale.majors:
            break
        where = _polar(scale.start + scale.sweep * n / scale.majors, scale.number_radius)
        sheet.text(number, where, scale.number_height, ink)
    if scale.legend:
        sheet.text(scale.legend, (0, scale.legend_y), scale.number_height, ink)


def _draw_needle(sheet: _Sheet, needle: Needle, grey: float, shift: float) -> None:
    half, tip, tail = needle.width / 2, needle.length, needle.tail
    outlines = {
        "taper": (
            (half, 0.0),
            (half * 0.6, -tail),
            (-half * 0.6, -tail),
            (-half, 0.0),
            (-half * 0.1, tip),
            (half * 0.1, tip),
        ),
        "rod": ((half * 0.6, -tail), (-half * 0.6, -tail), (-half * 0.6, tip), (half * 0.6, tip)),
        "arrow": (
            *((half * 0.5, -tail), (-half * 0.5, -tail), (-half * 0.5, tip * 0.75), (-half * 1.4, tip * 0.75)),
            *((0.0, tip), (half * 1.4, tip * 0.75), (half * 0.5, tip * 0.75)),
        ),
        "lozenge": ((0.0, -tail), (-half, tip * 0.35), (0.0, tip), (half, tip * 0.35)),
    }
    sin, cos = math.sin(math.radians(needle.angle)), math.cos(math.radians(needle.angle))

    def turned(x: float, y: float) -> tuple[float, float]:
        return x * cos + y * sin + shift, x * sin - y * cos + shift

    sheet.polygon((turned(x, y) for x, y in outlines[needle.shape]), grey)
    if needle.counterweight:
        sheet.disc(needle.counterweight, grey, turned(0, -tail))


def _polar(angle: float, radius: float) -> tuple[float, float]:
    return radius * math.sin(math.radians(angle)), -radius * math.cos(math.radians(angle))


def _bar(angle: float, inner: float, outer: float, width: float) -> Points:
    x, y = _polar(angle, 1)
    aside = (-y * width / 2, x * width / 2)
    for radius, side in ((inner, 1), (outer, 1), (outer, -1), (inner, -1)):
        yield x * radius + aside[0] * side, y * radius + aside[1] * side


def _arc(scale: Scale, begin: float, end: float, inner: float, outer: float) -> Points:
    steps = max(2, round(scale.sweep * (end - begin) / 5))
    angles = [scale.start + scale.sweep * (begin + (end - begin) * n / steps) for n in range(steps + 1)]
    yield from (_polar(angle, outer) for angle in angles)
    yield from (_polar(angle, inner) for angle in reversed(angles))


def _expose(picture: Image.Image, light: Light) -> Pixels:
    size = picture.width
    if light.blur:
        picture = picture.filter(ImageFilter.GaussianBlur(light.blur * size / SIZE))
    greys = np.asarray(picture, np.float32) / 255
    across = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = across[None, :], across[:, None]
    greys = greys * (1 + light.gradient[0] * (x - 0.5) + light.gradient[1] * (y - 0.5))
    if light.shadow is not None:
        direction, distance, softness, left = light.shadow
        nx, ny = math.cos(math.radians(direction)), math.sin(math.radians(direction))
        inside = np.clip(((x - 0.5) * nx + (y - 0.5) * ny - distance) / softness, 0, 1)
        greys = greys * (1 - (1 - left) * inside)
    if light.glare is not None:
        cx, cy, rx, ry, strength = light.glare
        greys = greys + strength * np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)
    greys = np.clip(greys * light.exposure, 0, 1) ** light.gamma
    noise = np.random.default_rng(light.noise_seed).standard_normal((size, size), np.float32)
    return np.asarray(np.clip(greys + light.noise * noise, 0, 1) * 255 + 0.5, np.uint8)
