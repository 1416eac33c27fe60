"""How close one tensor of an answer is to its golden values, in each of the ways a ``Tolerance`` can ask for. Pure.

Everything here says why something is not close enough, in one sentence for people with the element, what came, what is golden and what
is allowed; or nothing. Without numpy, which the daemon does not load: work on whole sequences stays in C where it can, so that a
hundred thousand elements take some hundredths of a second.
"""

import math
from collections.abc import Sequence
from itertools import compress, count
from operator import gt, mul
from typing import Final

from edged.bundle.manifest import Tolerance
from edged.validation.metrics import distances, top_1

Numbers = Sequence[float]

_MODERATE: Final = (1e-100, 1e100)
ROUNDING: Final = 1e-9
"""What a cosine computed in double precision may fall below its limit."""


def odd_number(got: Numbers, golden: Numbers, shape: Sequence[int]) -> str:
    """Say which element is NaN or infinite: no tolerance allows that, because no golden value is."""
    if all(map(math.isfinite, got)):
        return ""
    at = next(i for i, value in enumerate(got) if not math.isfinite(value))
    return f"{element(at, shape)} is {got[at]}, golden {number(golden[at])}, allowed is no such number"


def distance_beyond(got: Numbers, golden: Numbers, shape: Sequence[int], tolerance: Tolerance) -> str:
    """Say which element is furthest beyond ``absolute + relative * abs(golden)``, and how many there are.

    Differences of integers are exact. With a ``period`` they go the shorter way round.

    Args:
        got: Finite numbers.
        golden: As many.
        shape: Of both.
        tolerance: What it leaves open is 0.
    """
    absolute, relative = tolerance.absolute or 0.0, tolerance.relative or 0.0
    off = distances(got, golden, tolerance.period)
    allowed = [absolute + relative * abs(value) for value in golden] if relative else [absolute] * len(golden)
    beyond = list(compress(count(), map(gt, off, allowed)))
    if not beyond:
        return ""
    worst = max(beyond, key=lambda i: off[i] - allowed[i])
    terms = f"{absolute:g} + {relative:g} * {number(abs(golden[worst]))}" if relative else f"{absolute:g}"
    circle = f" on a circle of {tolerance.period:g}" if tolerance.period is not None else ""
    among = f", the worst of {len(beyond)}" if len(beyond) > 1 else ""
    return (
        f"{element(worst, shape)} is {number(got[worst])}, golden {number(golden[worst])}, "
        f"{number(off[worst])} apart{circle}, allowed is {terms}{among}"
    )


def direction_beyond(got: Numbers, golden: Numbers, shape: Sequence[int], least: float) -> str:
    """Say which row (last axis) has the lowest cosine similarity below ``least``.

    Rows of zeros have no direction: two of them are alike (1), one is like no other (0).

    Args:
        got: Finite numbers.
        golden: As many.
        shape: Of both; a scalar is one row.
        least: In -1..1; not reached is what falls below it by more than ``ROUNDING``.
    """
    size = shape[-1] if shape else 1
    worst, lowest = 0, math.inf
    for row, start in enumerate(range(0, len(got), size) if size else ()):
        similarity = cosine(got[start : start + size], golden[start : start + size])
        if similarity < lowest:
            worst, lowest = row, similarity
    if lowest >= least - ROUNDING:
        return ""
    begins = f"{_some(got[worst * size :], size)}, golden {_some(golden[worst * size :], size)}"
    return f"row {worst} is {begins}, their cosine is {lowest:.6g}, allowed is no less than {least:g}"


def cosine(left: Numbers, right: Numbers) -> float:
    """Return the cosine of the angle between two vectors of finite numbers, in -1..1; 1 for two zero vectors, 0 for one."""
    a, b = max(map(abs, left)), max(map(abs, right))
    if not a or not b:
        return 1.0 if a == b else 0.0
    # Squares of numbers further from 1 are none that floats have.
    if not _MODERATE[0] < min(a, b) <= max(a, b) < _MODERATE[1]:
        left, right = [value / a for value in left], [value / b for value in right]
    product = math.fsum(map(mul, left, right)) / (math.hypot(*left) * math.hypot(*right))
    return max(-1.0, min(1.0, product))


def best_elements(values: Numbers, shape: Sequence[int]) -> list[int]:
    """Return the index of the largest element of each row (last axis), the first of equal ones; a scalar is one row."""
    size = shape[-1] if shape else 1
    return [top_1(values[start : start + size]) for start in (range(0, len(values), size) if size else ())]


def text_beyond(got: Sequence[str], golden: Sequence[str], shape: Sequence[int]) -> str:
    """Say which text is another, and how many are."""
    other = [i for i, (have, want) in enumerate(zip(got, golden, strict=True)) if have != want]
    if not other:
        return ""
    among = f", the first of {len(other)}" if len(other) > 1 else ""
    return f"{element(other[0], shape)} is {got[other[0]]!r}, golden {golden[other[0]]!r}, allowed is no other{among}"


def labels_beyond(got: Sequence[str], golden: Sequence[str], least: float) -> str:
    """Say how two sets of labels differ, if what they have in common is less than ``least`` of what is in either.

    Two empty sets have everything in common (1). Order and repetition do not count.
    """
    have, want = set(got), set(golden)
    share = len(have & want) / len(have | want) if have | want else 1.0
    if share >= least:
        return ""
    parts = [f"{what} {', '.join(map(repr, sorted(some)[:3]))}" for what, some in _unlike(have, want) if some]
    return f"labels share {share:.3g} with the golden ones ({'; '.join(parts)}), allowed is no less than {least:g}"


def element(at: int, shape: Sequence[int]) -> str:
    """Name the place of a flat index in a tensor: ``element 2``, or ``element [0, 2]`` where there are several axes."""
    if len(shape) < 2:
        return f"element {at}"
    places: list[int] = []
    for axis in reversed(shape):
        at, place = divmod(at, axis)
        places.insert(0, place)
    return f"element {places}"


def number(value: float) -> str:
    """Write a number of an answer: integers with all digits, others with as many as single precision has."""
    return f"{value:d}" if isinstance(value, int) else f"{value:.6g}"


def _some(values: Numbers, size: int) -> str:
    shown = ", ".join(map(number, values[: min(size, 3)]))
    return f"[{shown}, ...]" if size > 3 else f"[{shown}]"


def _unlike(have: set[str], want: set[str]) -> Sequence[tuple[str, set[str]]]:
    return (("too many are", have - want), ("missing are", want - have))
