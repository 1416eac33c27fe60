"""What handlers read of requests that are no inferences: a body of a type, and who sent it."""

from typing import TypeVar

from aiohttp import web

from edged.callers.who import identify
from edged.codec import decode_json
from edged.errors import DocumentError, RequestError, UnavailableError

T = TypeVar("T")


async def read_body(request: web.Request, type_: type[T]) -> T:
    """Read a JSON body.

    Raises:
        RequestError: It does not follow the type; every problem is named.
    """
    try:
        return decode_json(type_, await request.read(), source="body")
    except DocumentError as exc:
        raise RequestError(exc.message, pointer=exc.problems[0].pointer) from exc


def operator_of(request: web.Request) -> str:
    """Name the person on the other end, for the history.

    Raises:
        UnavailableError: The caller has left.
    """
    sock = None if request.transport is None else request.transport.get_extra_info("socket")
    if sock is None:
        raise UnavailableError("its caller left")
    caller = identify(sock)
    return f"operator {caller.user} (uid {caller.uid})"
