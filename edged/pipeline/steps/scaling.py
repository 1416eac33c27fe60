"""How steps make less of their input where a policy asks for it: smaller images, fewer tokens, shorter sounds. Pure.

A step with sizes says which they are (``StepBase.SIZES``), and its manifest with the key ``scaling`` that the model takes smaller ones, and
how small. A step at a scale is a step like any other, with other sizes: ``edged.pipeline.pipeline.Pipeline.at`` gives all of them.
"""

from math import floor
from typing import Annotated

import msgspec

from edged.codec import Document

Scale = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class Scaling(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of a step's sizes at a scale, which is a share of the full ones: the nearest multiple of ``multiple``.

    It is at least one multiple, and at most the full size, which itself need not be a multiple. At scale 1 sizes are as they are written.
    """

    least: Scale
    """A smaller scale is taken for this one."""
    multiple: Annotated[int, msgspec.Meta(ge=1, le=1 << 14)] = 1

    def size(self, full: int, scale: float) -> int:
        """Return a size at a scale from ``least`` to 1; half a multiple counts as one."""
        if scale == 1.0:
            return full
        nearest = floor(full * scale / self.multiple + 0.5) * self.multiple
        return min(max(nearest, self.multiple), full)
