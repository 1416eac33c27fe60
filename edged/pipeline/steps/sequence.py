"""Steps on what sequence models give: a row of scores for each moment."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec

from edged.pipeline.spec import TensorName, TensorSpec
from edged.pipeline.steps.base import MisfitError, StepBase, StepPath, StepRole
from edged.pipeline.steps.one_item import one_item


class CtcDecode(StepBase, frozen=True, kw_only=True, tag="ctc_decode@1"):
    """The text in the output of a model trained with connectionist temporal classification, read greedily.

    ``input`` is FP32 [t, classes] or [1, t, classes]; ``output`` is BYTES [1], UTF-8. ``file`` is UTF-8 with a line for each class, in the
    order of the classes; that of class ``blank`` has to be there and is not used. A line is the text its class stands for: a symbol, a
    space, nothing, at most 64 bytes.

    Each moment stands for the class of its largest score, the smallest among equals, where NaN counts as minus infinity. Moments that
    follow each other with the same class are one run. Runs of ``blank`` are dropped, and the lines of the others are put together.

    ``confidence`` is FP32 [1]: for each run that is not dropped the largest probability of its class among its moments, of which this is
    the mean (``of`` "mean"), or the smallest ("min"), computed in FP64; 0 for an empty text. ``scores`` says what the input is:
    "probabilities"; "log_probabilities", of which the exponential is taken; or "logits", of which the softmax over the classes is taken. A
    run with NaN in it has the probability NaN.
    """

    FILES: ClassVar[Mapping[str, StepRole]] = {"file": "labels"}

    input: TensorName
    output: TensorName
    file: StepPath
    blank: Annotated[int, msgspec.Meta(ge=0, lt=1 << 24)] = 0
    scores: Literal["probabilities", "log_probabilities", "logits"] = "probabilities"
    confidence: TensorName | None = None
    of: Literal["mean", "min"] = "mean"

    @property
    def reads(self) -> tuple[TensorName, ...]:
        """``input``."""
        return (self.input,)

    @property
    def writes(self) -> tuple[TensorName, ...]:
        """``output`` and, if given, ``confidence``."""
        return (self.output, *([] if self.confidence is None else [self.confidence]))

    def gives(self, known: Mapping[str, TensorSpec]) -> tuple[TensorSpec, ...]:
        """BYTES [1], and FP32 [1]."""
        classes = one_item(known, self.input, "FP32", axes=2).shape[-1]
        if 0 <= classes <= self.blank:
            raise MisfitError("blank", expected=f"one of the {classes} classes of {self.input}", found=self.blank)
        text = TensorSpec(name=self.output, dtype="BYTES", shape=(1,))
        if self.confidence is None:
            return (text,)
        return (text, TensorSpec(name=self.confidence, dtype="FP32", shape=(1,)))
