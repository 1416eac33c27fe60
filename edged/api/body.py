"""Read a request's body, within time and memory."""

import asyncio

from aiohttp import web


async def read_body(request: web.Request, *, timeout_s: float) -> bytearray:
    """Read all of a body whose length the guard has checked.

    Args:
        request: The request; the caller holds a reservation for its body.
        timeout_s: Seconds for all of it.

    Raises:
        web.HTTPRequestTimeout: It did not arrive in time.
        web.HTTPUnsupportedMediaType: It is compressed. edged takes no compressed bodies: on a Unix socket they save nothing, and
            their size says nothing about what comes out.
    """
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise web.HTTPUnsupportedMediaType(
            text="Compressed bodies are not taken.", headers={"Accept-Encoding": "identity"}
        )
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                body += chunk
    except TimeoutError as exc:
        raise web.HTTPRequestTimeout(text=f"The body was not complete within {timeout_s:g} s.") from exc
    return body
