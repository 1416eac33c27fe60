"""A request for an inference on its way to its answer. Pure, and the same for every way a request can come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from edged.errors import EdgedError
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
