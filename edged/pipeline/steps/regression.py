"""Steps on numbers that models estimate: from what was convenient to train to what somebody wants to know."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps.base import MisfitError, OneToOne, wanted

Number = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]


class Scale(OneToOne, frozen=True, kw_only=True, tag="scale@1"):
    """``x * gain + offset``, cut to ``low`` ... ``high`` where these are given; FP32 in and out, same shape.

    Computed in FP64 and rounded once at the end; beyond what FP32 can hold, it becomes infinite. NaN stays NaN.
    """

    gain: Number
    offset: Number = 0.0
    low: Number | None = None
    high: Number | None = None

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = wanted(known, self.input, "FP32")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise MisfitError("low", expected=f"at most high, which is {self.high}", found=self.low)
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)


class DialReading(OneToOne, frozen=True, kw_only=True, tag="dial_reading@1"):
    """What a dial shows, from the angle of its needle; FP32 in and out, same shape.

    ``input`` is in degrees, clockwise, from wherever ``start_degrees`` counts from; any number of turns more or less is the same angle. At
    ``start_degrees`` the dial shows ``low``, and ``sweep_degrees`` further ``high``; a sweep below 0 goes anticlockwise.

    With ``turned`` = (angle - start) modulo 360, in [0, 360), counted in the direction of the sweep, and ``sweep`` its absolute value:
    the needle is beyond the scale where ``turned`` is above ``sweep``. In the half of that gap which is nearer to the start, at
    ``turned`` > (360 + sweep) / 2, it is before the start, and ``turned`` becomes ``turned`` - 360. The reading is
    low + (high - low) * turned / sweep. A needle beyond the scale shows the nearer end of it, or, with ``extends``, the reading that the
    scale would have there.

    Computed in FP64 and rounded once at the end. An angle that is not finite gives NaN.
    """

    start_degrees: Annotated[float, msgspec.Meta(ge=-360, le=360)]
    sweep_degrees: Annotated[float, msgspec.Meta(ge=-360, le=360)]
    low: Number
    high: Number
    extends: bool = False

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """FP32 of the same shape."""
        spec = wanted(known, self.input, "FP32")
        if not self.sweep_degrees:
            raise MisfitError("sweep_degrees", expected="a sweep that is not 0", found=self.sweep_degrees)
        return (TensorSpec(name=self.output, dtype="FP32", shape=spec.shape),)
