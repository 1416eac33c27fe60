"""Errors as HTTP: problem details (RFC 9457) as bodies. Pure.

Every answer that is not a success has the same body, whoever refuses: ``edged.statuses`` for edged's own errors, ``for_status`` for what
HTTP itself refuses (an unknown path, a header too many). A ``type`` is ``urn:edged:error:CODE``, with the code the journal and the
command line use too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec

from edged.codec import Document
from edged.errors import EdgedError, QuotaError, RequestError, UnavailableError
from edged.statuses import status_of

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:edged:error:"
RETRY_AFTER: Final = "Retry-After"

_STATUS_CODES: Final[Mapping[int, str]] = {
    400: "request-invalid",
    405: "method-not-allowed",
    408: "request-timeout",
    411: "length-required",
    413: "body-too-large",
    414: "target-too-long",
    415: "encoding-unsupported",
    417: "expectation-failed",
    431: "headers-too-large",
    500: "internal",
    501: "method-unknown",
    503: "unavailable",
    505: "version-unsupported",
}
"""Codes of edged's own, because the phrases of ``HTTPStatus`` change between versions of Python."""


class ProblemBody(Document, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was refused (RFC 9457). The last part of ``type`` is the code of the journal and the command line."""

    type: Annotated[str, msgspec.Meta(pattern=rf"^{TYPE_PREFIX}[a-z0-9-]+$(?!\n)")]
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    detail: Annotated[str, msgspec.Meta(description="What is wrong, and where.")]
    hint: Annotated[str, msgspec.Meta(description="What to do about it.")] = ""
    pointer: Annotated[str, msgspec.Meta(description="JSON pointer into the request's body.")] = ""
    facts: Annotated[dict[str, Any], msgspec.Meta(description="What a program may want to know.")] = msgspec.field(
        default_factory=dict
    )
    error: Annotated[str, msgspec.Meta(description="As detail, where the Open Inference Protocol asks for it.")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDetails:
    """Why a request was refused, as RFC 9457 tells it."""

    status: HTTPStatus
    code: str
    detail: str
    hint: str = ""
    pointer: str = ""
    """JSON pointer into the request's body."""
    facts: Mapping[str, object] = field(default_factory=dict)
    retry_after_s: int | None = None
    """Seconds for the Retry-After header; None for no header."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further headers that the status asks for."""

    def encode(self, *, is_v2: bool) -> bytes:
        """Write the body.

        Args:
            is_v2: The request was for the Open Inference Protocol, which asks for the text in ``error``.
        """
        body = ProblemBody(
            type=TYPE_PREFIX + self.code,
            title=self.code.replace("-", " ").capitalize(),
            status=self.status.value,
            detail=self.detail,
            hint=self.hint,
            pointer=self.pointer,
            facts=dict(self.facts),
            error=self.detail if is_v2 else "",
        )
        return msgspec.json.encode(body, enc_hook=str)

    def headers(self) -> dict[str, str]:
        """Return the headers that go with the body."""
        retry = {} if self.retry_after_s is None else {RETRY_AFTER: str(self.retry_after_s)}
        return {**self.fields, **retry}


def for_error(error: EdgedError) -> ProblemDetails:
    """Describe an error of edged's own; its status is that of the nearest class in its method resolution order."""
    return ProblemDetails(
        status=status_of(error),
        code=error.code,
        detail=error.message,
        hint=error.hint,
        pointer=error.pointer if isinstance(error, RequestError) else "",
        facts=error.facts,
        retry_after_s=error.retry_after_s if isinstance(error, UnavailableError | QuotaError) else None,
    )


def for_status(
    status: HTTPStatus,
    detail: str,
    *,
    hint: str = "",
    retry_after_s: int | None = None,
    fields: Mapping[str, str] | None = None,
) -> ProblemDetails:
    """Describe a refusal by HTTP itself, where no error of edged's own says more."""
    code = _STATUS_CODES.get(status, f"http-{status.value}")
    return ProblemDetails(
        status=status, code=code, detail=detail, hint=hint, retry_after_s=retry_after_s, fields=fields or {}
    )


def for_bug(request_id: str) -> ProblemDetails:
    """Describe an exception nobody foresaw: an identifier to look up in the journal, and nothing of the inside."""
    return ProblemDetails(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code=EdgedError.code,
        detail="edged failed on this request.",
        hint=f"The journal has the cause: journalctl -u edged EDGED_REQUEST={request_id}",
        facts={"request": request_id},
    )
