"""Types of tensors that belong to one item (one image, one text), with or without a leading batch axis of 1.

Models give a batch axis; what is found in each item differs in number, so steps that look for things take one item at a time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from edged.pipeline.spec import Datatype, TensorSpec
from edged.pipeline.steps.base import MisfitError


class OneItem(NamedTuple):
    """The type of a tensor of one item."""

    lead: tuple[int, ...]
    """The batch axis, ``(1,)``, or nothing."""
    shape: tuple[int, ...]
    """Without it."""


def one_item(known: Mapping[str, TensorSpec], name: str, dtype: Datatype, *, axes: int, key: str = "input") -> OneItem:
    """Return the type of a tensor that a step reads, if it is that of one item.

    Args:
        known: As for ``StepBase.gives``.
        name: The tensor's.
        dtype: Expected.
        axes: How many it has beside the batch axis.
        key: The step's key that holds ``name``.

    Raises:
        MisfitError: It is another.
    """
    spec = known[name]
    has_lead = len(spec.shape) == axes + 1 and spec.shape[0] in {1, -1}
    if spec.dtype != dtype or not (has_lead or len(spec.shape) == axes):
        expected = f"{dtype} with {axes} {'axis' if axes == 1 else 'axes'}, or one more that is 1"
        raise MisfitError(key, expected=expected, found=f"{name}, which is {spec}")
    return OneItem((1,), spec.shape[1:]) if has_lead else OneItem((), spec.shape)
