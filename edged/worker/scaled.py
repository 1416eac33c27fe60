"""The steps around a model in less than their full sizes, as a policy may ask for them.

They are made when they are first needed and kept, because a policy has few scales and uses each for a while. What they share with the
full ones, the tokenizers above all, is there once.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from edged.pipeline.kernels import Stage
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec

MAX_SCALES: Final = 16
"""That are kept; with more, all are made anew as they are needed."""


class Stages(NamedTuple):
    """The steps before and after a model."""

    pre: Stage
    post: Stage
    borrowed: Sequence[TensorSpec]
    """The types of what the second read from before the model."""


class Scaled:
    """The steps of one pipeline at any scale that it may have. Threads may use it at the same time.

    Args:
        pipeline: As it is written.
        pre: Its steps before the model, in full size.
        post: Those after it.

    Raises:
        BundleError: They cannot be as small as the pipeline says.
    """

    def __init__(self, pipeline: Pipeline, pre: Stage, post: Stage) -> None:
        self._pipeline = pipeline
        self._least = pipeline.least_scale
        self._full = Stages(pre, post, pipeline.borrowed_types)
        self._made: dict[float, Stages] = {}
        if self._least < 1.0:
            self.at(self._least)

    def possible(self, scale: float) -> float:
        """Return the scale at which the steps are done when one is asked for: that, or the least they may have."""
        return max(scale, self._least)

    def at(self, scale: float) -> Stages:
        """Return the steps at a scale; one below the least is taken for that.

        Raises:
            BundleError: They cannot be of that size.
        """
        scale = self.possible(scale)
        if scale == 1.0:
            return self._full
        stages = self._made.get(scale)
        if stages is None:
            sized = self._pipeline.at(scale)
            stages = Stages(self._full.pre.at(sized.pre), self._full.post.at(sized.post), sized.borrowed_types)
            if len(self._made) >= MAX_SCALES:
                self._made.clear()
            self._made[scale] = stages
        return stages
