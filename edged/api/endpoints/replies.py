"""Turn what handlers give or raise into responses: JSON bodies, problem bodies, and nothing of the inside."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from edged.api.connection.guard import Guard
from edged.api.http.bugs import report_bug
from edged.api.http.problems import CONTENT_TYPE, ProblemDetails, for_error, for_status
from edged.api.http.responses import SERVER
from edged.callers.peer import peer_of
from edged.errors import EdgedError, PathUnknownError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FOR_ADMINS: Final = web.AppKey("FOR_ADMINS", frozenset[str])
"""The paths that only the administrators' socket has."""


def json_reply(
    value: object, *, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    """Answer with a value as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json"
    )


def problem_reply(problem: ProblemDetails, *, path: str) -> web.Response:
    """Answer with a problem body."""
    is_v2 = path == "/v2" or path.startswith("/v2/")
    return web.Response(
        body=problem.encode(is_v2=is_v2), status=problem.status, headers=problem.headers(), content_type=CONTENT_TYPE
    )


@web.middleware
async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request to its last byte and let the connection's guard take the next one."""
    response = await _respond(request, handler)
    response.headers["Server"] = SERVER
    # Sent here, not by the caller, so that the guard hears of the end and not only of the decision. A peer that has left is the
    # caller's business: it finds that out again, without a trace in the log.
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()
    protocol = None if request.transport is None else request.transport.get_protocol()
    if isinstance(protocol, Guard):
        protocol.request_done(has_keepalive=bool(response.keep_alive))
    return response


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except EdgedError as exc:
        return problem_reply(for_error(exc), path=request.path)
    except web.HTTPException as exc:
        return _http_reply(exc, request)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is this request's answer
        return problem_reply(report_bug(exc, request.path, **_caller(request)), path=request.path)


def _http_reply(error: web.HTTPException, request: web.Request) -> web.Response:
    """Give what aiohttp refuses (no such path, another method) a problem body, and keep its headers that matter."""
    status = HTTPStatus(error.status)
    match status:
        case HTTPStatus.NOT_FOUND:
            problem = for_error(_path_unknown(request))
        case HTTPStatus.METHOD_NOT_ALLOWED:
            problem = for_status(status, f"This path does not take {request.method}.")
        case _:
            problem = for_status(status, error.text or status.phrase)
    reply = problem_reply(problem, path=request.path)
    if "Allow" in error.headers:
        reply.headers["Allow"] = error.headers["Allow"]
    return reply


def _path_unknown(request: web.Request) -> PathUnknownError:
    # No secret: /openapi.json says the same to everybody.
    if request.path in request.app[FOR_ADMINS]:
        return PathUnknownError(
            "This socket has nothing at this path.",
            hint="It is for administrators, on their socket: /run/edged/admin.sock, unless paths.admin_socket says otherwise.",
        )
    hint = "/openapi.json lists the paths, and which of them only the administrators' socket has."
    return PathUnknownError("There is nothing at this path.", hint=hint)


def _caller(request: web.Request) -> dict[str, object]:
    sock = None if request.transport is None else request.transport.get_extra_info("socket")
    if sock is None:
        return {}
    peer = peer_of(sock)
    return {"uid": peer.uid, "pid": peer.pid}
