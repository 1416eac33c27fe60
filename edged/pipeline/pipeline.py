"""What apps send and get, and the steps in between; and whether the steps, the model and the promises to apps fit together. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated

import msgspec

from edged.codec import Document
from edged.errors import Problem
from edged.pipeline.spec import TensorSpec, may_meet
from edged.pipeline.steps import Step
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.steps.detection import ScaleBoxes
from edged.pipeline.steps.image import Resize

Steps = Annotated[tuple[Step, ...], msgspec.Meta(max_length=64)]
Types = dict[str, TensorSpec | None]
"""By name; None where a problem before makes it unknown."""


class Pipeline(Document, frozen=True, kw_only=True):
    """What apps send and get, and the steps in between.

    A request that sends ``inputs`` goes through ``pre``; one that sends the model's own inputs enters after it. Steps after the model may
    also read what was sent and what the steps before it made (a scale, an image): where that is none of the model's own inputs, only
    requests with ``inputs`` are taken.
    """

    inputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]
    pre: Steps = ()
    post: Steps = ()
    outputs: Annotated[tuple[TensorSpec, ...], msgspec.Meta(min_length=1)]

    @property
    def steps(self) -> Sequence[Step]:
        """All steps, in order."""
        return (*self.pre, *self.post)

    @property
    def touched(self) -> frozenset[str]:
        """The tensors from before the model that a step reads or writes; states must not be among them."""
        return frozenset(name for step in self.pre for name in (*step.reads, *step.writes)) | self.borrowed

    @property
    def borrowed(self) -> frozenset[str]:
        """The tensors from before the model that are read after it."""
        before = {spec.name for spec in self.inputs} | {name for step in self.pre for name in step.writes}
        borrowed: set[str] = set()
        for step in self.post:
            borrowed |= before.intersection(step.reads)
            before.difference_update(step.writes)
        return frozenset(borrowed | before.intersection(spec.name for spec in self.outputs))

    @property
    def measured(self) -> frozenset[str]:
        """Those of them of which nothing but the shape is read."""
        read = {name for step in self.post for name in step.reads if name not in step.measures}
        return self.borrowed - read - {spec.name for spec in self.outputs}

    @property
    def borrowed_types(self) -> Sequence[TensorSpec]:
        """The types of what is known of those, in the order of their names; of all, where the steps fit each other.

        Of the measured ones it is the shape, INT64 [axes].
        """
        names = self.borrowed
        if not names:
            return ()
        known: Types = {spec.name: spec for spec in self.inputs}
        # For the types alone: problems are those of ``misfits``.
        deque(_through(self.pre, known, "/pipeline/pre"), maxlen=0)
        measured = self.measured
        return tuple(
            TensorSpec(name=name, dtype="INT64", shape=(len(spec.shape),)) if name in measured else spec
            for name in sorted(names)
            if (spec := known.get(name)) is not None
        )

    @property
    def least_scale(self) -> float:
        """The smallest share of their full sizes that the steps before the model may have; 1 where there is one size only."""
        return max((scaling.least for step in self.pre if (scaling := step.can_scale) is not None), default=1.0)

    def at(self, scale: float) -> "Pipeline":
        """Return the pipeline with smaller sizes.

        Steps that turn what a model says about the smaller image into places on the one that was sent follow: ``scale_boxes@1`` takes
        the scale that ``resize@1`` gives, and here also its size, where boxes are shares of that.

        Args:
            scale: Share of the full sizes, from ``least_scale`` to 1.
        """
        pre = tuple(step.at(scale) for step in self.pre)
        resized = {
            (full.scale, (full.height, full.width)): (step.height, step.width)
            for full, step in zip(self.pre, pre, strict=True)
            if isinstance(full, Resize) and isinstance(step, Resize)
        }
        post = tuple(
            msgspec.structs.replace(step, shares_of=resized.get((step.scale, step.shares_of), step.shares_of))
            if isinstance(step, ScaleBoxes) and step.shares_of is not None
            else step
            for step in self.post
        )
        return msgspec.structs.replace(self, pre=pre, post=post)


def misfits(
    pipeline: Pipeline, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> Iterator[Problem]:
    """Check that each step gets what it takes, and that model and apps get what they were promised.

    Args:
        pipeline: To check.
        inputs: The model's.
        outputs: The model's; they hide tensors of the same names from before the model.
        where: JSON pointer of the variant the model belongs to.

    Yields:
        Every problem, except those that only follow from an earlier one. Where the steps may be scaled, also the first that there is at
        the least scale.
    """
    problems = [*_misfits(pipeline, inputs, outputs, where)]
    yield from problems
    for i, step in enumerate(pipeline.post):
        if step.can_scale is not None:
            yield Problem(
                pointer=f"/pipeline/post/{i}/scaling", expected="expected nothing after the model", found="scaling"
            )
    least = pipeline.least_scale
    if least < 1.0 and not problems:
        for problem in islice(_misfits(pipeline.at(least), inputs, outputs, where), 1):
            yield replace(problem, expected=f"{problem.expected} at scale {least:g}")


def _misfits(
    pipeline: Pipeline, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], where: str
) -> Iterator[Problem]:
    """Check one size of a pipeline."""
    known: Types = {spec.name: spec for spec in pipeline.inputs}
    yield from _through(pipeline.pre, known, "/pipeline/pre")
    yield from _meets(inputs, known, f"{where}/inputs")
    known |= {spec.name: spec for spec in outputs}
    yield from _through(pipeline.post, known, "/pipeline/post")
    yield from _meets(pipeline.outputs, known, "/pipeline/outputs")


def _through(steps: Sequence[Step], known: Types, where: str) -> Iterator[Problem]:
    """Follow types through steps, adding what they write to ``known``."""
    for i, step in enumerate(steps):
        given: Sequence[TensorSpec] = ()
        if unknown := [name for name in step.reads if name not in known]:
            for name in unknown:
                yield Problem(pointer=f"{where}/{i}{_key_of(step, name)}", expected=_one_of(known), found=name)
        elif types := {name: spec for name in step.reads if (spec := known[name]) is not None}:
            try:
                given = step.gives(types) if len(types) == len(set(step.reads)) else ()
            except MisfitError as exc:
                yield Problem(pointer=f"{where}/{i}/{exc.key}", expected=f"expected {exc.expected}", found=exc.found)
        known |= dict.fromkeys(step.writes) | {spec.name: spec for spec in given}


def _meets(specs: Sequence[TensorSpec], known: Types, where: str) -> Iterator[Problem]:
    for i, spec in enumerate(specs):
        if spec.name not in known:
            yield Problem(pointer=f"{where}/{i}/name", expected=_one_of(known), found=spec.name)
        elif (found := known[spec.name]) is not None and not may_meet(found, spec):
            yield Problem(
                pointer=f"{where}/{i}", expected=f"expected {found}, as the pipeline gives it", found=str(spec)
            )


def _key_of(step: Step, name: str) -> str:
    """Return the pointer below a step of the key that holds a tensor's name."""
    return next((f"/{key}" for key in step.__struct_fields__ if getattr(step, key) == name), "")


def _one_of(names: Mapping[str, object]) -> str:
    return "expected one of " + ", ".join(sorted(names))
