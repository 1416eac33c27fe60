"""The states of sequences: tensors that one request of a sequence leaves to the next one. Pure but for its lock.

Rules:

(1) a sequence belongs to its caller: the same identifier of two users means two sequences
(2) it begins with ``is_start`` and states of zeros, also when there was one of that name; a request without it continues one that is known
(3) one request of a sequence runs at a time
(4) states change when a request has succeeded, and only then; after a failed one they are what they were before
(5) it is forgotten after ``is_end``, and when nobody continued it for ``idle_s``
(6) the number of sequences, of each caller's, and the bytes of all states are bounded. Who would exceed them is refused; nobody loses a
    sequence to somebody else's
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from edged.errors import SequenceError
from edged.pipeline.spec import TensorSpec
from edged.runtime.wire import SequenceLimits, Step
from edged.worker.arrays import NUMPY, Array

States = Mapping[str, Array]
Key = tuple[int, int | str]

BEGIN_AGAIN: Final = "Begin it again with sequence_start; it was idle too long, or the model was replaced."


@dataclass(slots=True)
class _Sequence:
    states: States
    used_s: float
    """When a request last succeeded, or the first one began."""
    size_bytes: int
    is_running: bool = False
    has_begun: bool = False
    """A request of it has succeeded."""


class Sequences:
    """The sequences of one model. Threads may use it at the same time.

    Args:
        inputs: The model's inputs that are states.
        limits: As the daemon sets them.
        clock: Monotonic seconds.
    """

    def __init__(self, inputs: Mapping[str, TensorSpec], limits: SequenceLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._zeros = {name: _zeros(spec) for name, spec in inputs.items()}
        self._zero_bytes = _bytes_of(self._zeros)
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, _Sequence] = OrderedDict()
        """Longest unused first."""
        self._of_caller: Counter[int] = Counter()
        self._used_bytes = 0

    def begin(self, step: Step) -> States:
        """Begin a request; whoever gets an answer here calls ``commit`` or ``abandon`` next.

        Returns:
            The states it runs with, which nobody may write to.

        Raises:
            SequenceError: The sequence is not known or has a request running, or there are too many.
        """
        key = (step.uid, step.id)
        with self._lock:
            self._forget_idle()
            sequence = self._known.get(key)
            if sequence is None:
                if not step.is_start:
                    raise SequenceError(f"sequence {step.id!r} is not known to this model", hint=BEGIN_AGAIN)
                self._check_limits(step)
                sequence = self._known[key] = _Sequence(self._zeros, self._clock(), self._zero_bytes)
                self._of_caller[step.uid] += 1
                self._used_bytes += self._zero_bytes
            elif sequence.is_running:
                raise SequenceError(
                    f"sequence {step.id!r} has a request running", hint="Wait for each answer before the next request."
                )
            sequence.is_running = True
            return self._zeros if step.is_start else sequence.states

    def commit(self, step: Step, states: States) -> None:
        """Note that a request succeeded.

        Args:
            step: As it began.
            states: For the next request; copied.

        Raises:
            SequenceError: The states have grown too large; the request is then abandoned.
            MemoryError: There is none for the copies; likewise.
        """
        key = (step.uid, step.id)
        try:
            kept = {} if step.is_end else {name: np.array(array) for name, array in states.items()}
        except MemoryError:
            self.abandon(step)
            raise
        size_bytes = _bytes_of(kept)
        with self._lock:
            sequence = self._known[key]
            if step.is_end:
                self._forget(key)
                return
            used_bytes = self._used_bytes + size_bytes - sequence.size_bytes
            if used_bytes > self._limits.most_bytes:
                self._abandon(key)
                raise SequenceError(
                    f"the states of sequence {step.id!r} have grown to {size_bytes} bytes, more than there is space for",
                    hint="End sequences that are over, or raise serve.max_sequence_bytes.",
                )
            self._used_bytes = used_bytes
            self._known[key] = _Sequence(kept, self._clock(), size_bytes, has_begun=True)
            self._known.move_to_end(key)

    def abandon(self, step: Step) -> None:
        """Note that a request failed: the sequence is what it was before."""
        with self._lock:
            self._abandon((step.uid, step.id))

    def sweep(self) -> None:
        """Forget what was idle too long, to free its memory; such sequences are refused in any case."""
        with self._lock:
            self._forget_idle()

    def _check_limits(self, step: Step) -> None:
        limits = self._limits
        if self._of_caller[step.uid] >= limits.most_per_caller:
            raise SequenceError(
                f"this caller has {limits.most_per_caller} sequences of this model already",
                hint="End sequences that are over with sequence_end, or raise serve.max_sequences_per_caller.",
            )
        if len(self._known) >= limits.most:
            raise SequenceError(
                f"this model has {limits.most} sequences already",
                hint="Try again when others have ended, or raise serve.max_sequences.",
            )
        if self._used_bytes + self._zero_bytes > limits.most_bytes:
            raise SequenceError(
                f"the states of this model's sequences have {self._used_bytes} bytes already",
                hint="Try again when others have ended, or raise serve.max_sequence_bytes.",
            )

    def _forget_idle(self) -> None:
        before_s = self._clock() - self._limits.idle_s
        idle = []
        for key, sequence in self._known.items():
            if sequence.used_s >= before_s:
                break
            if not sequence.is_running:
                idle.append(key)
        for key in idle:
            self._forget(key)

    def _abandon(self, key: Key) -> None:
        sequence = self._known[key]
        if sequence.has_begun:
            sequence.is_running = False
        else:
            self._forget(key)

    def _forget(self, key: Key) -> None:
        self._used_bytes -= self._known.pop(key).size_bytes
        self._of_caller[key[0]] -= 1
        if not self._of_caller[key[0]]:
            del self._of_caller[key[0]]


def _zeros(spec: TensorSpec) -> Array:
    """Return the state a sequence begins with: zeros, with one element along each free axis."""
    if spec.dtype == "BYTES":
        raise ValueError(f"state {spec.name} is not a tensor of numbers")
    zeros: Array = np.zeros([1 if axis == -1 else axis for axis in spec.shape], dtype=NUMPY[spec.dtype])
    zeros.flags.writeable = False
    return zeros


def _bytes_of(states: States) -> int:
    return sum(array.nbytes for array in states.values())
