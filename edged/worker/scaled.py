"""The steps around a model in less than their full sizes, as a policy may ask for them.

They are made when they are first needed and kept, because a policy has few scales and uses each for a while. What they share with the
full ones, the tokenizers above all, is there once.
"""

from typing import Final, NamedTuple

from edged.pipeline.kernels import Stage
from edged.pipeline.pipeline import Pipeline

MAX_SCALES: Final = 16
"""That are kept; with more, all are made anew as they are needed."""


class Stages(NamedTuple):
    """The steps before and after a model."""

    pre: Stage
    post: Stage


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
        self._full = Stages(pre, post)
        self._made: dict[float, Stages] = {}
        if pipeline.least_scale < 1.0:
            self.at(pipeline.least_scale)

    def at(self, scale: float) -> Stages:
        """Return the steps at a scale; one below the least is taken for that.

        Raises:
            BundleError: They cannot be of that size.
        """
        scale = max(scale, self._pipeline.least_scale)
        if scale == 1.0:
            return self._full
        stages = self._made.get(scale)
        if stages is None:
            sized = self._pipeline.at(scale)
            stages = Stages(self._full.pre.at(sized.pre), self._full.post.at(sized.post))
            if len(self._made) >= MAX_SCALES:
                self._made.clear()
            self._made[scale] = stages
        return stages
