"""Single steps whose types follow from those of what they read, to the last axis."""

from edged.pipeline.kernels import Array, Arrays
from edged.pipeline.spec import TensorSpec
from edged.pipeline.steps import Step
from tests.fakes.steps import run_step, types_of


def run(step: Step, **arrays: Array) -> Arrays:
    """Return what a step makes, as ``run_step`` does; the types it says have to be exact, and right where axes are left open."""
    given = run_step(step, arrays)
    exact = types_of(arrays)
    free = {
        name: TensorSpec(name=name, dtype=kind.dtype, shape=(-1,) * len(kind.shape)) for name, kind in exact.items()
    }
    made = types_of(given)
    for said, left_open in zip(step.gives(exact), step.gives(free), strict=True):
        assert made[said.name] == said
        assert given[said.name].flags.c_contiguous
        assert len(left_open.shape) == len(said.shape)
        assert all(axis in {-1, size} for axis, size in zip(left_open.shape, said.shape, strict=True))
    return given


def spec(text: str, name: str = "x") -> TensorSpec:
    """Return the type that is written ``UINT8 -1 4 3``."""
    dtype, *shape = text.split()
    return TensorSpec(name=name, dtype=dtype, shape=tuple(map(int, shape)))  # type: ignore[arg-type] # as the test has it
