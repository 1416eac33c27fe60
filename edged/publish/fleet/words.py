"""How parts of a fleet and times are written on a command line, and read by a person. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, get_args

from edged.bundle.manifest import Architecture
from edged.errors import UsageError
from edged.ops.segments import LABEL_PATTERN, Segment
from edged.quantities import UNITS, Unit

_DURATIONS: Final = Unit(plural="seconds", factors={**UNITS["s"].factors, "d": 86_400.0, "m": 60.0})


def parse_segments(labels: Iterable[str], architectures: Iterable[str]) -> tuple[Segment, ...]:
    """Make the part of a fleet that fulfils all of some conditions.

    Args:
        labels: ``region=eu,us``: a label and the values that will do.
        architectures: ``amd64``, ``arm64``.

    Returns:
        One segment, or none when nothing is asked for, which means everybody.

    Raises:
        UsageError: A label or an architecture is none.
    """
    asked: dict[str, tuple[str, ...]] = {}
    for text in labels:
        name, _, values = text.partition("=")
        parts = [name, *values.split(",")]
        if not all(re.fullmatch(LABEL_PATTERN, part) for part in parts):
            hint = "Write NAME=VALUE or NAME=VALUE,VALUE in lower-case letters, digits, dots and dashes."
            raise UsageError(f"--label {text}: expected a label and its values", hint=hint)
        asked[name] = tuple(sorted({*asked.get(name, ()), *parts[1:]}))
    known = get_args(Architecture)
    wanted = tuple(sorted(set(architectures)))
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"--arch {unknown[0]}: no such architecture", hint=f"edged knows {', '.join(known)}.")
    return (Segment(labels=dict(sorted(asked.items())), arch=wanted),) if asked or wanted else ()


def part_of_fleet(segments: Sequence[Segment]) -> str:
    """Name a part of a fleet: ``region=eu,us arch=arm64``."""
    return " or ".join(_segment(segment) for segment in segments) or "everybody"


def _segment(segment: Segment) -> str:
    labels = [f"{name}={','.join(values)}" for name, values in sorted(segment.labels.items())]
    return " ".join([*labels, *([f"arch={','.join(segment.arch)}"] if segment.arch else [])]) or "everybody"


def parse_duration(text: str) -> float:
    """Return the seconds of ``24h``, ``90min``, ``2d`` or ``30``.

    Raises:
        UsageError: It is no duration.
    """
    seconds = _DURATIONS.number_in(text)
    if seconds is None:
        raise UsageError(f"{text!r} is no duration", hint="For example: 24h, 90min, 2d, 30s.")
    return seconds


def duration(seconds: float) -> str:
    """Write a duration in the two units that say most: ``3 h 12 min``."""
    whole = int(seconds)
    if whole >= 86_400:
        return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 60} min" if whole >= 60 else f"{seconds:.0f} s"
