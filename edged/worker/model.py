"""A model with its pipeline, ready to answer: what a worker holds, without the process around it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final, ParamSpec, TypeVar

from edged.errors import BackendError, BundleError, DeadlineError, DigestMismatchError, EdgedError
from edged.files import hash_bytes
from edged.pipeline.datatypes import MAX_BYTES_ELEMENTS
from edged.pipeline.kernels import Stage, compile_stage
from edged.pipeline.spec import TensorSpec
from edged.runtime.requests import Signature
from edged.runtime.wire import FilePin, Item, WorkerSpec
from edged.worker.arrays import Array, array_of, datatype_of, size_bytes_of
from edged.worker.backends import Backend, Session
from edged.worker.borrowed import Borrowed
from edged.worker.graphs import Execute, Graphs, differs, execute_now
from edged.worker.question import Question
from edged.worker.rows import group, join, rows_of, split
from edged.worker.scaled import Scaled
from edged.worker.sequences import Sequences

P = ParamSpec("P")
R = TypeVar("R")
Answer = dict[str, Array]
"""The outputs of one request by name, in the order in which they were asked for."""


def read_pinned(descriptor: int, pin: FilePin) -> bytes:
    """Read a whole file and check that it is the one that was signed.

    The bytes returned are the bytes that were hashed: a file that changes afterwards changes nothing.

    Raises:
        DigestMismatchError: It is another file, or has changed.
        OSError: It cannot be read.
    """
    found = os.fstat(descriptor).st_size
    # First the size, so that a swapped file of any length is not read into memory.
    if found != pin.size:
        raise DigestMismatchError(
            f"{pin.path} has {found} bytes, {pin.size} were signed", hint="Fetch the bundle again."
        )
    data = os.pread(descriptor, pin.size, 0)
    # One call reads at most 2 GiB; putting parts together doubles the memory, so it is left to files that need it.
    while len(data) < pin.size and (more := os.pread(descriptor, pin.size - len(data), len(data))):
        data += more
    if (digest := hash_bytes(data)) != pin.sha256:
        raise DigestMismatchError(
            f"{pin.path} hashes to {digest}, {pin.sha256} was signed", hint="Fetch the bundle again."
        )
    return data


class Model:
    """A session between its pre- and post-processing. Threads may use it at the same time.

    Args:
        spec: Of the model.
        session: Has its variant loaded.
        pre: The steps before it.
        post: The steps after it.
        graphs: Have loaded those of the steps.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        session: Session,
        pre: Stage,
        post: Stage,
        graphs: Graphs,
        *,
        clock: Callable[[], float],
    ) -> None:
        self.session: Final = session
        self._signature = Signature(spec)
        self._inputs = {item.name: item for item in spec.variant.inputs}
        self._outputs = {item.name: item for item in spec.pipeline.outputs}
        # What an app sends may be what the model takes, and then nothing lies between.
        self._pre = pre if spec.pipeline.pre or spec.pipeline.inputs != spec.variant.inputs else None
        self._post = post if spec.pipeline.post else None
        self._scaled = Scaled(spec.pipeline, pre, post)
        self._borrowed = Borrowed(spec, self._scaled)
        self._graphs = graphs
        self._can_join = spec.variant.batching is not None
        self._states = {state.input: state.output for state in spec.variant.state}
        self.sequences: Final = Sequences({name: self._inputs[name] for name in self._states}, spec.sequences, clock)

    @property
    def in_place(self) -> frozenset[str]:
        """Names of the model's inputs that may change while a request is answered, with no harm but to the answer."""
        return self.session.in_place - self._borrowed.names

    def question(self, item: Item, parts: Sequence[memoryview]) -> Question:
        """Read a request.

        Args:
            item: As it came.
            parts: The bytes of its tensors, which the question goes on using.

        Raises:
            TensorError: A tensor is missing, unknown or not as the manifest says.
            RequestError: It is of a sequence, and the model has no states.
        """
        is_given = is_raw = item.features == "given"
        scale = self._scaled.possible(item.scale)
        if is_given:
            self._signature.check_features(item.tensors, item.outputs, self._borrowed.types(scale))
        else:
            is_raw = self._signature.check(item.tensors, item.outputs, in_sequence=item.sequence is not None)
        inputs = {head.name: array_of(head, part) for head, part in zip(item.tensors, parts, strict=True)}
        return Question(
            inputs,
            is_raw,
            item.outputs,
            item.sequence,
            is_given=is_given,
            # What the app has prepared itself has the size it has, and what the model says of it is about that size.
            scale=1.0 if is_raw and not is_given else scale,
            most_feature_bytes=item.most_feature_bytes if item.features == "wanted" else 0,
        )

    def prepared_scale(self, question: Question) -> float:
        """Return the share of the full sizes at which the steps before the model are done for a question; 0 where none are."""
        return 0.0 if question.is_raw or self._pre is None else question.scale

    def answer(self, questions: Sequence[Question], execute: Execute) -> list[Answer | EdgedError]:
        """Answer requests together, in one run of the session where the manifest allows that.

        Args:
            questions: From ``question``.
            execute: Runs a session, when it is this run's turn.

        Returns:
            For each an answer, or why there is none: TensorError (the model does not take it), SequenceError, BundleError (pipeline and
            model do not fit each other), BackendError (the runtime failed), DeadlineError (it was stopped).
        """
        self._graphs.execute = execute
        try:
            if len(questions) == 1 or not self._can_join:
                return [attempt(self._answer_alone, question, execute) for question in questions]
            return self._answer_together(questions, execute)
        finally:
            self._graphs.execute = execute_now
            if self._borrowed.names:
                # A question may be asked again, and must not keep them until then.
                for question in questions:
                    question.borrowed = {}

    def _answer_together(self, questions: Sequence[Question], execute: Execute) -> list[Answer | EdgedError]:
        feeds = [attempt(self._feed, question) for question in questions]
        good = {i: feed for i, feed in enumerate(feeds) if not isinstance(feed, EdgedError)}
        outputs: dict[int, dict[str, Array] | EdgedError] = dict(enumerate(feeds))
        for members in group(good):
            given = self._run_together([good[i] for i in members], execute)
            outputs.update(zip(members, given, strict=True))
        return [
            found if isinstance(found := outputs[i], EdgedError) else attempt(self._finish, question, found)
            for i, question in enumerate(questions)
        ]

    def _answer_alone(self, question: Question, execute: Execute) -> Answer:
        feed = self._feed(question)
        if question.step is None:
            return self._finish(question, execute(self.session, feed))
        states = self.sequences.begin(question.step)
        try:
            outputs = execute(self.session, {**feed, **states})
            answer = self._finish(question, outputs)
            following = {
                name: _checked(self._inputs[name], outputs[output], f"the model gives {output}, which becomes")
                for name, output in self._states.items()
            }
        except BaseException:
            self.sequences.abandon(question.step)
            raise
        self.sequences.commit(question.step, following)
        return answer

    def _feed(self, question: Question) -> dict[str, Array]:
        """Return the model's inputs, without those that a sequence gives."""
        pre = None if question.is_raw else self._pre
        if pre is not None and question.scale != 1.0:
            pre = self._scaled.at(question.scale).pre
        arrays: Mapping[str, Array] = question.inputs if pre is None else pre.run(question.inputs)
        if question.is_given:
            arrays = self._borrowed.unpack(arrays)
        if self._borrowed.names:
            question.borrowed = self._borrowed.take(arrays)
        if question.is_given:
            return {name: arrays[name] for name in self._inputs}
        if pre is None:
            return question.inputs
        # Only what the manifest names goes on, so that a request's tensor never hides one of the model's.
        feed = {
            name: _checked(spec, arrays[name], "the steps before the model give")
            for name, spec in self._inputs.items()
            if question.step is None or name not in self._states
        }
        if question.most_feature_bytes:
            question.features = self._features(question, feed, arrays)
        return feed

    def _features(
        self, question: Question, feed: Mapping[str, Array], arrays: Mapping[str, Array]
    ) -> Mapping[str, Array] | None:
        """Return what the steps before the model made, if it is as the manifest says and not too much."""
        borrowed = self._borrowed.pack(arrays)
        try:
            for spec in self._borrowed.types(question.scale):
                _checked(spec, borrowed[spec.name], "the steps before the model give")
        except BundleError:
            return None
        features = {**feed, **borrowed}
        return features if sum(map(size_bytes_of, features.values())) <= question.most_feature_bytes else None

    def _run_together(self, feeds: Sequence[dict[str, Array]], execute: Execute) -> list[dict[str, Array] | EdgedError]:
        """Run inputs of one group in one run, and each by itself if that fails for a reason that may be the fault of one of them."""
        if len(feeds) > 1:
            joint = attempt(lambda: split(execute(self.session, join(feeds)), map(rows_of, feeds)))
            if not isinstance(joint, EdgedError):
                return [*joint]
            if isinstance(joint, BundleError | DeadlineError):
                return [joint] * len(feeds)
        return [attempt(execute, self.session, feed) for feed in feeds]

    def _finish(self, question: Question, outputs: Mapping[str, Array]) -> Answer:
        given = {**question.borrowed, **outputs} if question.borrowed else outputs
        post = self._post
        if post is not None and question.scale != 1.0:
            post = self._scaled.at(question.scale).post
        known = given if post is None else post.run(given)
        return {
            name: _checked(self._outputs[name], known[name], "the model gives")
            for name in question.outputs or self._outputs
        }


def attempt(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | EdgedError:
    """Return what a call gives, or the error it raises that is to be told to whoever asked; others are raised."""
    try:
        return work(*args, **kwargs)
    except EdgedError as exc:
        # Kept with its traceback, or with that of its cause, it would keep all the arrays alive that the frames know.
        exc.__cause__ = exc.__context__ = None
        return exc.with_traceback(None)
    except MemoryError:
        return BackendError("the request does not fit into the model's memory limit", hint="Ask for less at once.")


def load_model(spec: WorkerSpec, descriptors: Sequence[int], backend: Backend, *, clock: Callable[[], float]) -> Model:
    """Read, verify and load everything a specification names.

    Args:
        spec: What to load.
        descriptors: One open file for each of ``spec.files``, in order; left open.
        backend: What executes the model.
        clock: Monotonic seconds.

    Raises:
        DigestMismatchError: A file is not the one that was signed.
        BundleError: The pipeline cannot be prepared, in full or as small as it may get; or the specification has no model.
        UnsafeModelError: The model asks for what no model may.
        IncompatibleError: The runtime is not one the variant is for.
        ModelLoadError: The runtime refuses the model.
    """
    if len(descriptors) != len(spec.files):
        raise BundleError(f"{spec.name}: {len(descriptors)} files handed over, {len(spec.files)} named")
    states = {state.input for state in spec.variant.state}
    if touched := sorted(states & spec.pipeline.touched):
        raise BundleError(
            f"{spec.name}: a step reads or writes {touched[0]}, which is a state of the model",
            hint="Correct the manifest's pipeline: states come as they are from apps or from their sequence.",
        )
    pins = dict(zip(spec.files, descriptors, strict=True))
    models = [pin for pin in pins if pin.role == "model"]
    if len(models) != 1:
        raise BundleError(f"{spec.name}: {len(models)} files have role model, expected one")
    others = {pin.path: read_pinned(descriptor, pin) for pin, descriptor in pins.items() if pin is not models[0]}
    graphs = Graphs(backend)
    pre, post = (compile_stage(steps, others, graphs.load) for steps in (spec.pipeline.pre, spec.pipeline.post))
    session = backend.load(read_pinned(pins[models[0]], models[0]), spec.variant)
    return Model(spec, session, pre, post, graphs, clock=clock)


def _checked(spec: TensorSpec, array: Array, who: str) -> Array:
    if differs(spec, array):
        raise BundleError(
            f"{who} {spec.name} as {datatype_of(array)} {list(array.shape)}, the manifest says {spec.dtype} {list(spec.shape)}",
            hint="Correct the manifest's pipeline or tensors.",
        )
    if spec.dtype == "BYTES" and array.size > MAX_BYTES_ELEMENTS:
        # The daemon takes an answer with more for a sign that this process is no longer the worker it was.
        raise BundleError(
            f"{who} {spec.name} with {array.size} elements of BYTES; at most {MAX_BYTES_ELEMENTS} are allowed",
            hint="Have the model give fewer texts, or their numbers.",
        )
    return array
