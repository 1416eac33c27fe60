"""Inferences over HTTP: from the head and the body of a request to its response, without the connection they come on.

The steps of an exchange. Where one fails, its error is the answer, and what was taken before is given back:

(1) admit     the caller's limits, by the length that the head announces
(2) place     room in shared memory for a body that is large, before it is received
(3) parse     once the body is there: tensors that fit the model
(4) submit    the call waits or runs; from here on its memory is the worker's to read until the call is finished
(5) answer    in the same turn of the loop in which the call is finished
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from edged.api.http.bugs import report_bug
from edged.api.http.head import Head
from edged.api.http.problems import for_error
from edged.api.http.responses import Response, problem_response
from edged.api.limits import LiveLimits
from edged.api.oip.body import Body, offset_for
from edged.api.oip.decision_summary import DECISION, summarize
from edged.api.oip.parameters import Wishes
from edged.api.oip.request import HEADER_LENGTH, ParsedRequest, RequestReader, parse_header_length
from edged.api.oip.response import build_response
from edged.api.ports import Admission, Answer, Models, Quotas, Taken, UsageSource
from edged.callers.caller import Caller
from edged.errors import EdgedError, QuotaError
from edged.runtime.calls import Call, Outcome, Request, RequestClass, Segment
from edged.runtime.tensors import InferResult
from edged.runtime.wire import INLINE_BYTES

FALLBACK: Final = "Edged-Fallback"
"""By which rule something else answered in the model's place; only there when it did."""

Answered = Callable[[Response], None]
"""Takes the response of an exchange; called at most once, on the event loop."""

_PATH: Final = re.compile(rb"/v2/models/([^/?#]+)(?:/versions/([^/?#]+))?/infer(?:\?[^#]*)?")


def parse_infer_path(target: bytes) -> tuple[str, str | None] | None:
    """Return the model and version that a request's target asks for an inference; None when it is about something else."""
    match = _PATH.fullmatch(target)
    if match is None:
        return None
    name, version = match.groups()
    return _unescape(name), None if version is None else _unescape(version)


def _unescape(part: bytes) -> str:
    text = part.decode("ascii")
    return unquote(text) if "%" in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What inferences need of the daemon."""

    models: Models
    usage: UsageSource
    quotas: Quotas
    limits: LiveLimits
    reader: RequestReader = field(default_factory=RequestReader)


class Exchange:
    """One request for an inference.

    ``begin`` is called first; unless it refuses, ``run`` follows once the body is there, or ``abandon`` when the caller leaves before
    that or later. The answer comes by ``answered``, perhaps before ``run`` returns.

    Args:
        services: Of the daemon.
        head: Of the request; its target is one of ``parse_infer_path``.
        path: The model and the version.
        caller: Who asks.
        answered: Takes the response.
    """

    __slots__ = (
        "_admission",
        "_answered",
        "_arrived_s",
        "_call",
        "_caller",
        "_head",
        "_header_length",
        "_memory",
        "_model",
        "_offset",
        "_services",
        "_version",
        "room",
    )

    def __init__(
        self,
        services: Services,
        head: Head,
        path: tuple[str, str | None],
        caller: Caller,
        *,
        answered: Answered,
    ) -> None:
        self.room: memoryview | None = None
        """Where the body is to be received; None when it is small and handed to ``run``."""
        self._services = services
        self._head = head
        self._model, self._version = path
        self._caller = caller
        # Receiving and parsing the body is part of what the caller waits for.
        self._arrived_s = time.monotonic()
        self._answered: Answered | None = answered
        """None once nobody is to be answered any more."""
        self._header_length: int | None = None
        self._admission: Admission | None = None
        self._memory: Segment | None = None
        self._offset = 0
        self._call: Call | None = None

    def begin(self) -> Response | None:
        """Prepare for the body; returns why it is not wanted, and None when it is."""
        try:
            self._header_length = parse_header_length(self._head.header_length, self._head.content_length)
            self._admission = self._admit()  # (1)
            if self._head.content_length > INLINE_BYTES:
                self._place()  # (2)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is this request's answer
            self._let_go()
            return self._refusal(exc)
        return None

    def run(self, content: bytes | bytearray | None = None) -> None:
        """Ask the model.

        Args:
            content: The body; None when it is in ``room``.
        """
        try:
            self._submit(content)
        except Exception as exc:  # noqa: BLE001 - as above
            self._call = None
            self._let_go()
            self._answer(self._refusal(exc))

    def abandon(self) -> None:
        """Give up, because nobody waits any more; nothing is answered."""
        self._answered = None
        if self._call is None:
            self._let_go()
        else:
            # The worker may still read the request's memory: it is given back when the call is finished.
            self._call.abandon()

    def _admit(self) -> Admission:
        try:
            return self._services.quotas.admit(self._caller, self._head.content_length)
        except QuotaError:
            if (stats := self._services.usage.stats(self._model)) is not None:
                stats.rejected("quota")
            raise

    def _place(self) -> None:
        # A large body for a model that is not there is not even received.
        view = self._services.models.view(self._model, self._version)
        self._offset = offset_for(self._header_length)
        end = self._offset + self._head.content_length
        self._memory = self._services.models.take_memory(view.name, end)
        self.room = self._memory.view[self._offset : end]

    def _submit(self, content: bytes | bytearray | None) -> None:
        view = self._services.models.view(self._model, self._version)
        request = self._services.reader.read(self._body(content), self._header_length, view)  # (3)
        if all(tensor.at is None for tensor in request.inputs):
            self._give_memory_back()
        taken = Taken(model=view)
        wishes = request.wishes
        self._call = call = Call(
            Request(
                inputs=request.inputs,
                outputs=[output.name for output in request.outputs],
                deadline_s=self._arrived_s + self._timeout_s(wishes),
                uid=self._caller.uid,
                request_class=wishes.request_class,
                priority=wishes.priority,
                sequence=wishes.sequence,
                has_consent=wishes.has_consent,
                may_cache=wishes.may_cache,
                memory=self._memory,
            ),
            # By then ``taken`` is what was really done.
            lambda outcome: self._finished(request, taken, call, outcome),
        )
        taken = self._services.models.submit(self._model, self._version, call)  # (4)

    def _timeout_s(self, wishes: Wishes) -> float:
        limits = self._services.limits.current
        is_background = wishes.request_class is RequestClass.BACKGROUND
        most_s = (
            max(limits.request_timeout_s, limits.background_timeout_s) if is_background else limits.request_timeout_s
        )
        return min(wishes.timeout_s or limits.request_timeout_s, most_s)

    def _body(self, content: bytes | bytearray | None) -> Body:
        if self._memory is not None and self.room is not None:
            return Body(content=self.room, memory=self._memory.view, offset=self._offset)
        return Body(content=memoryview(content or b""))

    def _finished(self, request: ParsedRequest, taken: Taken, call: Call, outcome: Outcome) -> None:
        self._call = None
        if call.instead:
            taken.model = replace(taken.model, variant=call.instead)
        self._let_go()
        if self._answered is not None:
            self._answer(self._response(request, taken, outcome))  # (5)

    def _answer(self, response: Response) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(response)

    def _response(self, request: ParsedRequest, taken: Taken, outcome: Outcome) -> Response:
        if not isinstance(outcome, InferResult):
            return self._refusal(outcome)
        try:
            parts, header_length = build_response(request, Answer(result=outcome, taken=taken))
        except Exception as exc:  # noqa: BLE001 - as above
            return self._refusal(exc)
        view = taken.model
        fields = {"Edged-Variant": view.variant, "Edged-Model-Version": str(view.version)}
        if view.fallback is not None:
            fields[FALLBACK] = view.fallback
        if taken.decision is not None:
            fields[DECISION] = summarize(taken.decision)
        if header_length is None:
            return Response(status=HTTPStatus.OK, content_type="application/json", parts=parts, fields=fields)
        fields[HEADER_LENGTH] = str(header_length)
        return Response(status=HTTPStatus.OK, content_type="application/octet-stream", parts=parts, fields=fields)

    def _refusal(self, error: Exception) -> Response:
        if isinstance(error, EdgedError):
            return problem_response(for_error(error))
        return problem_response(report_bug(error, self._head.target.decode("ascii"), uid=self._caller.uid))

    def _let_go(self) -> None:
        """Give back what was taken; what is given back already is not given back again."""
        self._give_memory_back()
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.release()

    def _give_memory_back(self) -> None:
        memory, self._memory = self._memory, None
        self.room = None
        if memory is not None:
            memory.release()
