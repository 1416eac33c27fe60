"""Write metrics in the Prometheus text exposition format 0.0.4. Pure.

https://prometheus.io/docs/instrumenting/exposition_formats/ has the rules. Written here and not taken from prometheus_client, because
that keeps a registry of values of its own beside the ones edged counts anyway, and costs the daemon memory and time at its start.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from edged.telemetry.histogram import Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
_LABEL_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


class Exposition:
    """A text that metrics are added to, each family once. A family without samples is told with its help, so that it can be found.

    Names follow https://prometheus.io/docs/practices/naming/: base units, and ``_total`` at the end of counters.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def counter(self, name: str, help_text: str, samples: Iterable[tuple[Labels, float]]) -> None:
        """Add what only rises until the daemon restarts."""
        self._family(name, help_text, "counter", samples)

    def gauge(self, name: str, help_text: str, samples: Iterable[tuple[Labels, float | None]]) -> None:
        """Add what rises and falls; a value of None is not known and left out."""
        known = ((labels, value) for labels, value in samples if value is not None)
        self._family(name, help_text, "gauge", known)

    def histogram(self, name: str, help_text: str, samples: Iterable[tuple[Labels, Histogram]]) -> None:
        """Add values counted by size."""
        self._head(name, help_text, "histogram")
        for labels, histogram in samples:
            bounds = (*histogram.bounds, math.inf)
            for bound, count in zip(bounds, histogram.cumulative, strict=True):
                self._sample(f"{name}_bucket", {**labels, "le": _number(bound)}, count)
            self._sample(f"{name}_sum", labels, histogram.sum)
            self._sample(f"{name}_count", labels, histogram.count)

    def encode(self) -> bytes:
        """Return the whole text."""
        return "".join(f"{line}\n" for line in self._lines).encode()

    def _family(self, name: str, help_text: str, kind: str, samples: Iterable[tuple[Labels, float]]) -> None:
        self._head(name, help_text, kind)
        for labels, value in samples:
            self._sample(name, labels, value)

    def _head(self, name: str, help_text: str, kind: str) -> None:
        self._lines.append(f"# HELP {name} {help_text.translate(_HELP_ESCAPES)}")
        self._lines.append(f"# TYPE {name} {kind}")

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        pairs = ",".join(f'{key}="{text.translate(_LABEL_ESCAPES)}"' for key, text in labels.items())
        self._lines.append(f"{name}{{{pairs}}} {_number(value)}" if pairs else f"{name} {_number(value)}")


def _number(value: float) -> str:
    """Write a number as Go's ParseFloat reads it, and whole ones without a fraction."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)
