"""Single steps, run as a pipeline runs them."""

from collections.abc import Mapping

import numpy as np

from edged.pipeline.kernels import Array, Arrays, compile_stage
from edged.pipeline.spec import TensorSpec, may_meet
from edged.pipeline.steps import Step
from edged.worker.arrays import datatype_of


def no_graphs(*_):
    raise AssertionError("none of these steps has a graph")


def spec(name: str, *shape: int, dtype: str = "FP32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def types_of(arrays: Mapping[str, Array]) -> dict[str, TensorSpec]:
    """The exact types of some arrays."""
    return {name: spec(name, *array.shape, dtype=datatype_of(array)) for name, array in arrays.items()}


def run_step(step: Step, arrays: Mapping[str, Array], files: Mapping[str, bytes] | None = None) -> Arrays:
    """What a step gives; it has to be of the types that it says, of exact types and of types with free axes."""
    known = compile_stage([step], files or {}, no_graphs).run(arrays)
    given = {name: known[name] for name in step.writes}
    for said in step.gives(types_of(arrays)):
        assert may_meet(said, types_of(given)[said.name]), (said, types_of(given)[said.name])
    return given


def floats(*values: object) -> Array:
    return np.array(values, dtype=np.float32)
