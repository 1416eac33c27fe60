"""What each step of ``edged.pipeline.steps`` computes, on numpy arrays. Only workers and the publisher's tool import this.

A pipeline is compiled once, when a model is loaded. The kernels of a kind of step are a module of the same name as the steps' own, which
is imported where a pipeline has such steps: a model that takes numbers pays for no image decoder.
"""

from edged.pipeline.kernels.base import Array, Arrays, Graph, Kernel, LoadGraph
from edged.pipeline.kernels.stage import Stage, compile_stage, prepare

__all__ = ["Array", "Arrays", "Graph", "Kernel", "LoadGraph", "Stage", "compile_stage", "prepare"]
