"""Golden cases of ``edged.pipeline.steps.regression``."""

import numpy as np

from edged.pipeline.steps.regression import DialReading, Scale
from tests.golden.pipeline.vectors import case

# A pressure gauge: 0 bar at the lower left, 10 bar at the lower right, over the top.
GAUGE = {"start_degrees": 225.0, "sweep_degrees": 270.0, "low": 0.0, "high": 10.0}
ANGLES = np.array([[225], [0], [135], [136], [180], [180.5], [224], [-90], [585], [np.nan], [np.inf]], dtype=np.float32)


def dial(**keys):
    return DialReading(input="angle", output="reading", **{**GAUGE, **keys})


CASES = [
    case(
        "gain and offset",
        Scale(input="x", output="y", gain=0.1, offset=-3.0),
        {"x": np.array([0, 1, 30, -1e38, np.nan, np.inf], dtype=np.float32)},
    ),
    case(
        "cut on both sides",
        Scale(input="x", output="y", gain=2.0, low=-1.0, high=1.5),
        {"x": np.array([[-2, -0.25], [0.5, 9]], dtype=np.float32)},
    ),
    case("more than FP32 can hold", Scale(input="x", output="y", gain=1e30), {"x": np.array(-1e30, dtype=np.float32)}),
    case("a gauge", dial(), {"angle": ANGLES}),
    case("a gauge whose scale goes on", dial(extends=True), {"angle": ANGLES}),
    case("anticlockwise", dial(start_degrees=45.0, sweep_degrees=-90.0), {"angle": ANGLES}),
    case(
        "all the way round",
        dial(start_degrees=0.0, sweep_degrees=360.0),
        {"angle": np.array([0, 90, 359.5, -1e-30, 360], dtype=np.float32)},
    ),
]
