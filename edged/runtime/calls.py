"""A request for an inference on its way to its answer. Pure, and the same for every way a request can come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from edged.errors import EdgedError
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import InferResult, Tensor

Outcome = InferResult | EdgedError


class Segment(Protocol):
    """Shared memory that belongs to one request at a time; ``edged.runtime.memory`` has the real ones."""

    @property
    def number(self) -> int:
        """Unique among the segments of a model; from 1."""
        ...

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    @property
    def descriptor(self) -> int:
        """The open file behind it."""
        ...

    @property
    def view(self) -> memoryview:
        """Its bytes, writable."""
        ...

    def hold(self) -> None:
        """Note that it has one more owner: it is given back when each of them has released it."""
        ...

    def release(self) -> None:
        """Give it back; its bytes may be overwritten from now on."""
        ...


class RequestClass(StrEnum):
    """Whether somebody waits for the answer; nothing of the second class runs while something of the first can."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStep:
    """One request of a sequence, whose state tensors edged keeps between requests."""

    id: int | str
    """Chosen by the caller; sequences of different callers never meet."""
    is_start: bool = False
    """Forget what the sequence had; it begins with states of zeros."""
    is_end: bool = False
    """Forget the sequence after this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the steps before a model make of a request's inputs: known from before, or wanted for later.

    These are the model's own inputs, and whatever else the steps after it read from before it.
    """

    digest: str
    """Of the bundle that has the steps."""
    takes: Sequence[TensorSpec]
    """The model's inputs, as the variant has them."""
    gives: Sequence[TensorSpec]
    """Its outputs likewise, which hide what had their names before it."""
    borrowed: Sequence[TensorSpec] = ()
    """What else there is: a matter of the bundle, the scale, and what the variant takes and gives."""
    scale: float
    """Of the steps."""
    most_bytes: int
    """Where they are wanted: the answer leaves them out if they have more. Below 0 where none would be kept."""
    tensors: Sequence[Tensor] | None = None
    """None where they are not known, and the answer is to bring them."""

    @property
    def specs(self) -> Sequence[TensorSpec]:
        """The types of all tensors."""
        return (*self.takes, *self.borrowed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a caller wants of a model."""

    inputs: Sequence[Tensor]
    """All of the pipeline's inputs, or all of the model's own; of those, what the states of a sequence give may be left out."""
    outputs: Sequence[str] = ()
    """Names wanted; empty means all of the pipeline's."""
    deadline_s: float
    """Monotonic seconds (``time.monotonic``, which is also the event loop's) after which the answer is worth nothing."""
    uid: int = 0
    """Of the caller."""
    request_class: RequestClass = RequestClass.INTERACTIVE
    priority: int = 0
    """1 is the most urgent; 0 is no wish."""
    sequence: SequenceStep | None = None
    has_consent: bool = False
    """Its caller allows that its inputs leave the device."""
    scale: float = 1.0
    """Share of the full size at which the steps before the model make its inputs (``edged.pipeline.pipeline.Pipeline.at``)."""
    may_cache: bool = True
    """Its answer may be one that was given before, and may be given again."""
    memory: Segment | None = None
    """Where those inputs lie that have an ``at``; whoever made the request releases it once the request is finished."""
    features: Features | None = None
    """None where nobody knows them or wants to."""

    @property
    def sent(self) -> Sequence[Tensor]:
        """What a worker is sent: the inputs, or in their place what the steps before the model make of them."""
        features = self.features
        return self.inputs if features is None or features.tensors is None else features.tensors

    def fitting(self, digest: str, takes: Sequence[TensorSpec], gives: Sequence[TensorSpec]) -> "Request":
        """Return the request as a variant may get it: without features that are of another bundle, other tensors or another scale.

        It may have been meant for another variant, and have waited, or been out of the device, since its features were looked for.

        Args:
            digest: Of the variant's bundle.
            takes: The inputs of its model.
            gives: The outputs of its model.
        """
        features = self.features
        if features is None:
            return self
        is_fitting = (features.digest, features.takes, features.gives) == (digest, takes, gives)
        return self if is_fitting and features.scale == self.scale else replace(self, features=None)

    @property
    def size_bytes(self) -> int:
        """Bytes of all inputs."""
        return sum(memoryview(tensor.data).nbytes for tensor in self.inputs)


class Call:
    """A request and whoever waits for its answer.

    Whoever takes a call finishes it exactly once, on the event loop, whatever happens. Whoever made it may abandon it at any time;
    an abandoned call is still finished, now or later, so that what it holds can be given back then: it does not run if it has not
    begun, and is told to stop if it has.
    """

    __slots__ = ("_done", "abandoned", "instead", "is_finished", "request")

    def __init__(self, request: Request, done: Callable[[Outcome], None]) -> None:
        self.request = request
        self.is_finished = False
        self.abandoned: Callable[[], None] | None = None
        """Set by whoever takes the call: what to do when its caller leaves."""
        self.instead = ""
        """The id of the variant that has taken it over from the one that took it first; empty as long as none has."""
        self._done: Callable[[Outcome], None] | None = done

    def finish(self, outcome: Outcome) -> None:
        """Give the answer or the error; later ones are dropped, so that a deadline and an answer may race."""
        if self.is_finished:
            return
        self.is_finished = True
        done, self._done = self._done, None
        if done is not None:
            done(outcome)

    def also(self, told: Callable[[], None]) -> None:
        """Have somebody else told once it is finished, before whoever made it; at once if it is finished already."""
        if self._done is None:
            told()
        else:
            self.show(lambda _outcome: told())

    def show(self, told: Callable[[Outcome], None]) -> None:
        """Have somebody else shown how it is finished, before whoever made it; never, if it is finished already."""
        done = self._done
        if done is None:
            return

        def both(outcome: Outcome) -> None:
            told(outcome)
            done(outcome)

        self._done = both

    def abandon(self) -> None:
        """Say that nobody waits for the answer any more."""
        if not self.is_finished and self.abandoned is not None:
            self.abandoned()
