"""What the step of ``edged.pipeline.steps.graph`` computes: whatever its graph does, loaded by whoever has a runtime."""

from typing import Final

from edged.pipeline.kernels.base import Arrays, Compile, Kernel, Resources
from edged.pipeline.steps.graph import Graph


def _graph(step: Graph, resources: Resources) -> Kernel:
    run = resources.load_graph(resources.file("graph@1", step.file), step.inputs, step.outputs)

    def kernel(arrays: Arrays) -> Arrays:
        outputs = run({item.name: arrays[item.tensor] for item in step.inputs})
        return {item.tensor: outputs[item.name] for item in step.outputs}

    return kernel


KERNELS: Final[dict[type, Compile]] = {Graph: _graph}
