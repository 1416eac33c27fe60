"""From what a server says went wrong to the error it was there. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from edged.errors import DocumentError, EdgedError, NotPermittedError, QuotaError, RequestError, UnavailableError

TYPE_PREFIX: Final = "urn:edged:error:"
_FORBIDDEN: Final = 403


def error_from_body(status: int, body: bytes, *, retry_after_s: int | None = None) -> EdgedError:
    """Make the error that a problem body (RFC 9457) describes, of the class that has its code.

    Args:
        status: Of the answer.
        body: Anything; what is no problem body still gives an error.
        retry_after_s: What the answer's Retry-After says.
    """
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or not isinstance(detail := problem.get("detail"), str):
        return error_from(status, "", f"The daemon answered with status {status}.", retry_after_s=retry_after_s)
    facts = problem.get("facts")
    return error_from(
        status,
        str(problem.get("type", "")).removeprefix(TYPE_PREFIX),
        detail,
        hint=str(problem.get("hint", "")),
        pointer=str(problem.get("pointer", "")),
        facts=facts if isinstance(facts, dict) else {},
        retry_after_s=retry_after_s,
    )


def error_from(
    status: int,
    code: str,
    detail: str,
    *,
    hint: str = "",
    pointer: str = "",
    facts: Mapping[str, Any] | None = None,
    retry_after_s: int | None = None,
) -> EdgedError:
    """Make the error of a code; one that is not known here becomes the base class, whose message still tells."""
    cls = _classes().get(code, NotPermittedError if status == _FORBIDDEN else EdgedError)
    # Not called: what another process sends must not pose as an argument of a class whose own are special.
    error = cls.__new__(cls)
    EdgedError.__init__(error, detail + (f" (at {pointer})" if pointer else ""), hint=hint)
    error.facts = dict(facts or {})
    if isinstance(error, RequestError):
        error.pointer = pointer
    if isinstance(error, UnavailableError | QuotaError):
        error.retry_after_s = retry_after_s or 1
    if isinstance(error, QuotaError):
        error.limit = str(error.facts.get("limit", ""))
    return error


@cache
def _classes() -> Mapping[str, type[EdgedError]]:
    # Only classes with a code of their own: one that inherits it is a special case of the class meant. And a DocumentError is made of
    # its problems, which an answer has only as text.
    return {cls.code: cls for cls in _tree(EdgedError) if "code" in vars(cls) and not issubclass(cls, DocumentError)}


def _tree(root: type[EdgedError]) -> Iterator[type[EdgedError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)
