"""The feature flags of the fleet for apps, ``/edged/v1/flags``: what each of them is on this device.

Answers have an ETag, so that an app may ask as often as it likes: while nothing has changed, ``If-None-Match`` costs no body.
"""

import hashlib
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from edged.api.documents.flags import FLAGS_PATH, FlagDocument, FlagsDocument
from edged.api.ports import FlagsSource
from edged.errors import FlagUnknownError

ETAG_DIGITS: Final = 32


class Flags:
    """The handlers."""

    def __init__(self, source: FlagsSource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [web.get(FLAGS_PATH, self.all), web.get(f"{FLAGS_PATH}/{{flag}}", self.one)]

    async def all(self, request: web.Request) -> web.Response:
        """Give every flag."""
        return _reply(request, FlagsDocument(flags=self._source.flags))

    async def one(self, request: web.Request) -> web.Response:
        """Give one flag."""
        name, flags = request.match_info["flag"], self._source.flags
        if name not in flags:
            raise FlagUnknownError(
                f"no flag {name[:128]} is in force on this device", hint="An app should have a default for this."
            )
        return _reply(request, FlagDocument(name=name, value=flags[name]))


def _reply(request: web.Request, document: FlagsDocument | FlagDocument) -> web.Response:
    body = msgspec.json.encode(document)
    tag = hashlib.sha256(body).hexdigest()[:ETAG_DIGITS]
    headers = {"ETag": f'"{tag}"'}
    # Of several tags any will do (RFC 9110, section 13.1.2); weak ones compare as well as strong ones.
    if any(known.value in {tag, "*"} for known in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=body, headers=headers, content_type="application/json")
