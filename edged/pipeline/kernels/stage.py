"""The steps before or after a model, ready to run."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from edged.pipeline.kernels.base import Array, Arrays, Compile, Kernel, LoadGraph, Resources, ScalableKernel
from edged.pipeline.steps import Step
from edged.pipeline.steps.base import StepBase


class Stage:
    """The steps before or after a model, ready to run.

    Args:
        steps: In order.
        kernels: What computes them, one for each.
    """

    def __init__(self, steps: Sequence[Step], kernels: Sequence[Kernel]) -> None:
        self._steps = tuple(steps)
        self._kernels = tuple(kernels)

    def at(self, steps: Sequence[Step]) -> "Stage":
        """Return the same steps in other sizes, ready to run (``edged.pipeline.pipeline.Pipeline.at``).

        Raises:
            BundleError: A step cannot be of that size.
        """
        kernels = [
            kernel.of(sized) if isinstance(kernel, ScalableKernel) and sized != step else kernel
            for step, sized, kernel in zip(self._steps, steps, self._kernels, strict=True)
        ]
        return Stage(steps, kernels)

    def run(self, arrays: Mapping[str, Array]) -> Arrays:
        """Return the given arrays and all that the steps make of them.

        Raises:
            TensorError: A step does not take the datatype, shape or value it is given.
            BundleError: The steps do not fit the model's values (an index without a label).
        """
        known = dict(arrays)
        for kernel in self._kernels:
            known.update(kernel(known))
        return known


def prepare(steps: Iterable[Step]) -> None:
    """Import what computes these steps; a worker does it while it may still open files."""
    for step in steps:
        compiler_of(type(step))


def compile_stage(steps: Iterable[Step], files: Mapping[str, bytes], load_graph: LoadGraph) -> Stage:
    """Prepare some steps of a parsed manifest.

    Args:
        steps: In order.
        files: The contents of the bundle's files that steps may name, by path.
        load_graph: Loads the ONNX graphs among them.

    Raises:
        BundleError: A file that a step names is missing or unreadable.
        UnsafeModelError: A graph asks for what no model may.
        ModelLoadError: The runtime refuses a graph.
    """
    steps, resources = tuple(steps), Resources(files=files, load_graph=load_graph)
    return Stage(steps, [compiler_of(type(step))(step, resources) for step in steps])


def compiler_of(step: type[StepBase]) -> Compile:
    """Return what prepares steps of a type, importing its module: ``steps.image`` has its computations in ``kernels.image``."""
    kind = step.__module__.rpartition(".")[2]
    kernels: dict[type, Compile] = import_module(f"edged.pipeline.kernels.{kind}").KERNELS
    return kernels[step]
