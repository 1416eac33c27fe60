"""Errors as HTTP: one table of statuses, and problem details (RFC 9457) as bodies. Pure.

Every answer that is not a success has the same body, whoever refuses: the table below for edged's own errors, ``for_status`` for what
HTTP itself refuses (an unknown path, a header too many). A ``type`` is ``urn:edged:error:CODE``, with the code the journal and the
command line use too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import msgspec

from edged import errors
from edged.errors import EdgedError, RequestError, UnavailableError

CONTENT_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:edged:error:"

STATUSES: Final[Mapping[type[EdgedError], HTTPStatus]] = {
    EdgedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DocumentError: HTTPStatus.INTERNAL_SERVER_ERROR,
    # The operator acts.
    errors.ConfigError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.UsageError: HTTPStatus.BAD_REQUEST,
    # The publisher acts.
    errors.BundleError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ManifestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsafeModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ValidationFailedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IncompatibleError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TrustError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SignatureInvalidError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MetadataExpiredError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MetadataRollbackError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DigestMismatchError: HTTPStatus.UNPROCESSABLE_ENTITY,
    # The network.
    errors.FetchError: HTTPStatus.BAD_GATEWAY,
    errors.HostUnreachableError: HTTPStatus.BAD_GATEWAY,
    errors.FileMissingError: HTTPStatus.BAD_GATEWAY,
    errors.GateRefusedError: HTTPStatus.BAD_GATEWAY,
    # The device.
    errors.StoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DiskFullError: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.BackendError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelLoadError: HTTPStatus.INTERNAL_SERVER_ERROR,
    # Not 503: a request that ends workers is not to be sent again by a client that obeys Retry-After.
    errors.WorkerLostError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    errors.UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.DaemonUnreachableError: HTTPStatus.BAD_GATEWAY,
    # The caller.
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.TensorError: HTTPStatus.BAD_REQUEST,
    errors.BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.ModelUnknownError: HTTPStatus.NOT_FOUND,
    errors.NotPermittedError: HTTPStatus.FORBIDDEN,
}

_STATUS_CODES: Final[Mapping[int, str]] = {
    400: "request-invalid",
    404: "path-unknown",
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

    def encode(self, *, is_v2: bool) -> bytes:
        """Write the body.

        Args:
            is_v2: The request was for the Open Inference Protocol, which asks for the text in ``error``.
        """
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": int(self.status),
            "detail": self.detail,
        }
        optional = {
            "hint": self.hint,
            "pointer": self.pointer,
            "facts": dict(self.facts),
            "error": self.detail if is_v2 else "",
        }
        body |= {key: value for key, value in optional.items() if value}
        return msgspec.json.encode(body, enc_hook=str)

    def headers(self) -> dict[str, str]:
        """Return the headers that go with the body."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}


def for_error(error: EdgedError) -> ProblemDetails:
    """Describe an error of edged's own; its status is that of the nearest class in its method resolution order."""
    return ProblemDetails(
        status=next(STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES),
        code=error.code,
        detail=error.message,
        hint=error.hint,
        pointer=error.pointer if isinstance(error, RequestError) else "",
        facts=error.facts,
        retry_after_s=error.retry_after_s if isinstance(error, UnavailableError) else None,
    )


def for_status(status: HTTPStatus, detail: str, *, hint: str = "", retry_after_s: int | None = None) -> ProblemDetails:
    """Describe a refusal by HTTP itself, where no error of edged's own says more."""
    code = _STATUS_CODES.get(status, f"http-{status.value}")
    return ProblemDetails(status=status, code=code, detail=detail, hint=hint, retry_after_s=retry_after_s)


def for_bug(request_id: str) -> ProblemDetails:
    """Describe an exception nobody foresaw: an identifier to look up in the journal, and nothing of the inside."""
    return ProblemDetails(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code=EdgedError.code,
        detail="edged failed on this request.",
        hint=f"The journal has the cause: journalctl -u edged EDGED_REQUEST={request_id}",
        facts={"request": request_id},
    )
