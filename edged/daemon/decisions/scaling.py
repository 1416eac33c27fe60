"""How far a request is scaled down where a policy asks for less. Pure.

A policy asks for a share of the full size, of the model's image or of its tokens. How far a model follows is for its manifest to say, and
nothing edged could do makes the tensors smaller that an app has prepared itself. What is asked for is in the decision in any case, so that
such an app can follow by itself.
"""

from edged.api.ports import ModelView
from edged.runtime.calls import Request


def used_scale(asked: float, request: Request, view: ModelView) -> float:
    """Return the share of the full size at which a request is answered.

    Args:
        asked: By the policy; more than 0, at most 1.
        request: Its inputs are the pipeline's or the model's own.
        view: The model.
    """
    if view.least_scale == 1.0 or {tensor.name for tensor in request.inputs} != {spec.name for spec in view.inputs}:
        return 1.0
    return max(asked, view.least_scale)
