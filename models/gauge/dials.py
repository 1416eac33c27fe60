"""What a made-up gauge looks like: one dial as plain numbers, chosen at random from a seed.

It decides everything that is in a picture; ``models.gauge.drawing`` only draws it. The rules:

1. Lengths are in radii of the face, with the origin at the hub; angles are in degrees, 0 is up, clockwise.
2. Greys go from 0 (black) to 1 (white).
3. Dial ``number`` of a seed depends on these two alone, so that a set can be made in any order and in parts. numpy and Pillow may
   choose and draw otherwise in another version: the same bytes are promised for the same versions of both only.
4. A needle differs from its face in grey, and its tip from its tail in length: what no person could read is no lesson.
5. One picture in thirty has no needle, so that a model can learn to say that it does not know.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

NO_NEEDLE_SHARE: Final = 1 / 30

Shape = Literal["taper", "rod", "arrow", "lozenge"]
SHAPES: Final[tuple[Shape, ...]] = ("taper", "rod", "arrow", "lozenge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """How the face lies in the picture: a homography from the face's plane to the unit square, x right and y down."""

    centre: tuple[float, float]
    """Where the hub is seen, in picture widths."""
    radius: float
    """Of the face when seen from straight ahead, in picture widths."""
    turn: float
    """By how much the gauge is mounted out of true, degrees clockwise."""
    squeeze: tuple[float, float]
    """A view from the side: the face's extent across ``squeeze_axis`` is multiplied by the first; the second is that axis, degrees."""
    fall: tuple[float, float]
    """Perspective: how much nearer a point one radius to the right and one radius down appears."""

    def project(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the face is seen, in picture widths."""
        factor, axis = self.squeeze
        cos, sin = math.cos(math.radians(axis)), math.sin(math.radians(axis))
        along, across = x * cos + y * sin, (y * cos - x * sin) * factor
        x, y = along * cos - across * sin, along * sin + across * cos
        cos, sin = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        x, y = x * cos - y * sin, x * sin + y * cos
        depth = 1 - self.fall[0] * x - self.fall[1] * y
        return self.centre[0] + self.radius * x / depth, self.centre[1] + self.radius * y / depth


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What is printed on the face."""

    start: float
    """Angle of the first mark."""
    sweep: float
    """From the first mark to the last, clockwise."""
    majors: int
    """How many parts the long marks divide the scale into."""
    minors: int
    """How many parts the short marks divide each of these into."""
    outer: float
    """Where marks end, seen from the hub."""
    major_length: float
    width: float
    """Of a long mark; short ones have half."""
    has_arc: bool
    numbers: tuple[str, ...]
    """At the long marks; empty for none."""
    number_radius: float
    number_height: float
    legend: str
    """Two or three letters above or below the hub; may be empty."""
    legend_y: float
    band: tuple[float, float, float] | None
    """A coloured part of the scale: from and to, as parts of the sweep, and its grey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """The hand."""

    angle: float
    """Where it points on the face; the camera may show it elsewhere."""
    shape: Shape
    length: float
    width: float
    tail: float
    """Its length behind the hub, less than half of that before it."""
    counterweight: float
    """Radius of the disc at the end of its tail; 0 for none."""
    grey: float
    shade: float
    """How far its shadow falls on the face, down and to the right; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """What the lamp, the glass and the sensor do to the picture."""

    gradient: tuple[float, float]
    """Change of brightness across the picture, to the right and down."""
    exposure: float
    gamma: float
    glare: tuple[float, float, float, float, float] | None
    """A reflection: centre x and y and half axes in picture widths, and its strength in greys."""
    shadow: tuple[float, float, float, float] | None
    """A straight-edged shadow: direction of its normal in degrees, distance from the middle and softness in widths, and what is left."""
    blur: float
    """Standard deviation, in pixels of the finished picture."""
    noise: float
    """Standard deviation, in greys."""
    noise_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """One picture of a gauge, before it is drawn."""

    camera: Camera
    scale: Scale
    needle: Needle | None
    light: Light
    wall: tuple[float, float]
    """Greys of what is behind the gauge, left and right."""
    clutter: tuple[tuple[float, float, float, float, float], ...]
    """Pipes and plates behind it: two corners in picture widths, and a grey."""
    bezel: tuple[float, float]
    """Width and grey of the rim."""
    face: float
    ink: float
    hub: tuple[float, float]
    """Radius and grey."""

    @property
    def angle(self) -> float | None:
        """The truth: where the needle points in the picture, degrees in [0, 360); None without a needle."""
        if self.needle is None:
            return None
        turn = math.radians(self.needle.angle)
        x0, y0 = self.camera.project(0, 0)
        x1, y1 = self.camera.project(self.needle.length * math.sin(turn), -self.needle.length * math.cos(turn))
        return math.degrees(math.atan2(x1 - x0, y0 - y1)) % 360


def choose_dial(seed: int, number: int) -> Dial:
    """Choose one dial of the endless row that a seed stands for.

    Args:
        seed: Not negative.
        number: Its place in the row, not negative.
    """
    rng = np.random.default_rng([seed, number])
    is_dark = rng.random() < 0.3
    face = rng.uniform(0.05, 0.3) if is_dark else rng.uniform(0.65, 1.0)
    ink = rng.uniform(0.7, 1.0) if is_dark else rng.uniform(0.0, 0.35)
    scale = _choose_scale(rng)
    needle = None
    if rng.random() >= NO_NEEDLE_SHARE:
        needle = _choose_needle(rng, scale, is_dark=is_dark)
    hub_grey = needle.grey if needle is not None and rng.random() < 0.6 else rng.uniform(0, 1)
    return Dial(
        camera=_choose_camera(rng),
        scale=scale,
        needle=needle,
        light=_choose_light(rng),
        wall=(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9)),
        clutter=tuple(
            (
                rng.uniform(-0.2, 1.1),
                rng.uniform(-0.2, 1.1),
                rng.uniform(0.05, 0.5),
                rng.uniform(0.05, 0.5),
                rng.uniform(0, 1),
            )
            for _ in range(rng.integers(0, 5))
        ),
        bezel=(rng.uniform(0.03, 0.18), rng.uniform(0.05, 0.9)),
        face=face,
        ink=ink,
        hub=(rng.uniform(0.04, 0.14), hub_grey),
    )


def _choose_camera(rng: np.random.Generator) -> Camera:
    return Camera(
        centre=(rng.uniform(0.43, 0.57), rng.uniform(0.43, 0.57)),
        radius=rng.uniform(0.31, 0.46),
        turn=rng.uniform(-12, 12),
        squeeze=(rng.uniform(0.87, 1.0), rng.uniform(0, 180)),
        fall=(rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.08)),
    )


def _choose_scale(rng: np.random.Generator) -> Scale:
    # Half of the gauges have the usual gap at the bottom; the others put it anywhere, so that every angle is learnt alike.
    sweep = float(rng.choice([270, 240, 300, 180, 90, 330])) if rng.random() < 0.7 else rng.uniform(80, 345)
    start = -sweep / 2 if rng.random() < 0.5 else rng.uniform(0, 360)
    # Numbers closer than 24 degrees would be printed over each other.
    majors = int(rng.integers(3, max(5, min(13, int(sweep / 24) + 1))))
    step = float(rng.choice([0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 25, 50, 100]))
    first = float(rng.choice([0, 0, 0, -1, 1, -3])) * step
    has_numbers = rng.random() < 0.85
    outer = rng.uniform(0.8, 0.97)
    major_length = rng.uniform(0.06, 0.18)
    band_from = rng.uniform(0, 0.9)
    return Scale(
        start=start,
        sweep=sweep,
        majors=majors,
        minors=int(rng.choice([1, 2, 4, 5, 10] if majors < 8 else [1, 2, 5])),
        outer=outer,
        major_length=major_length,
        width=rng.uniform(0.012, 0.04),
        has_arc=bool(rng.random() < 0.4),
        numbers=tuple(f"{first + step * n:g}" for n in range(majors + 1)) if has_numbers else (),
        number_radius=outer - major_length - rng.uniform(0.08, 0.16),
        number_height=rng.uniform(0.1, 0.2),
        legend=str(rng.choice(["bar", "psi", "kPa", "°C", "A", "V", "MPa", "l/min", "%", ""])),
        legend_y=float(rng.choice([-0.4, 0.4])) * rng.uniform(0.8, 1.3),
        band=(band_from, rng.uniform(band_from, 1), rng.uniform(0.2, 0.7)) if rng.random() < 0.3 else None,
    )


def _choose_needle(rng: np.random.Generator, scale: Scale, *, is_dark: bool) -> Needle:
    length = rng.uniform(0.55, 0.95) * scale.outer
    tail = length * rng.uniform(0.1, 0.4) if rng.random() < 0.7 else 0.0
    return Needle(
        angle=scale.start + scale.sweep * rng.uniform(-0.02, 1.02),
        shape=SHAPES[rng.integers(len(SHAPES))],
        length=length,
        width=rng.uniform(0.04, 0.11),
        tail=tail,
        counterweight=rng.uniform(0.04, 0.09) if tail and rng.random() < 0.3 else 0.0,
        grey=rng.uniform(0.6, 1.0) if is_dark else rng.uniform(0.0, 0.4),
        shade=rng.uniform(0.01, 0.05) if rng.random() < 0.4 else 0.0,
    )


def _choose_light(rng: np.random.Generator) -> Light:
    glare = shadow = None
    if rng.random() < 0.35:
        glare = (
            rng.uniform(0.2, 0.8),
            rng.uniform(0.2, 0.8),
            rng.uniform(0.04, 0.2),
            rng.uniform(0.04, 0.2),
            rng.uniform(0.2, 0.8),
        )
    if rng.random() < 0.35:
        shadow = (rng.uniform(0, 360), rng.uniform(-0.3, 0.3), rng.uniform(0.01, 0.1), rng.uniform(0.35, 0.8))
    return Light(
        gradient=(rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)),
        exposure=rng.uniform(0.55, 1.15),
        gamma=rng.uniform(0.7, 1.4),
        glare=glare,
        shadow=shadow,
        blur=rng.uniform(0, 1.6) if rng.random() < 0.5 else 0.0,
        noise=rng.uniform(0, 0.05),
        noise_seed=int(rng.integers(2**32)),
    )
