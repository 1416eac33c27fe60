"""A request as a model is asked it: what is found in its tensors, and what becomes known on the way to its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edged.runtime.wire import Step
from edged.worker.arrays import Array


@dataclass(slots=True)
class Question:
    """A request whose tensors were found to be what the model takes."""

    inputs: dict[str, Array]
    is_raw: bool
    """They are the model's own inputs, to which the steps before it do not apply."""
    outputs: Sequence[str]
    step: Step | None
    is_given: bool = False
    """They are what the steps before the model make: its own inputs, and what those after it read beside them."""
    scale: float = 1.0
    """Share of the full sizes at which the steps are done."""
    borrowed: dict[str, Array] = field(default_factory=dict)
    """What steps after the model need from before it; known once those before it have run."""
    most_feature_bytes: int = 0
    """Whoever asks wants to know what the steps before the model make of this, if it has no more than that; 0 where nobody does."""
    features: Mapping[str, Array] | None = None
    """That, where it is wanted and they have run."""
