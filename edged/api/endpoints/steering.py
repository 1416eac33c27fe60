"""What administrators tell the device about its models, and what has happened to them: routes of the administrators' socket alone.

Who may open that socket may do all of this. Whoever does is named in the device's history by what the kernel says of the connection.
"""

import re
from typing import Annotated, Final

import msgspec
from aiohttp import web

from edged.api.documents.updates import (
    APPLY_PATH,
    DEFAULT_ENTRIES,
    HISTORY_PATH,
    MOST_ENTRIES,
    ROLLBACK_PATH,
    Apply,
    Rollback,
    Switched,
)
from edged.api.endpoints.bodies import operator_of, read_body
from edged.api.endpoints.replies import json_reply
from edged.api.ports import Updates
from edged.codec import convert
from edged.errors import DocumentError, RequestError
from edged.ids import MODEL_NAME_PATTERN
from edged.store.history import History

_NUMBER: Final = re.compile(r"[0-9]{1,9}\Z")

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST_ENTRIES)]


class SteeringRoutes:
    """The handlers.

    Args:
        updates: Does what is asked for.
    """

    def __init__(self, updates: Updates) -> None:
        self._updates = updates

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [
            web.get(HISTORY_PATH, self.history),
            web.post(ROLLBACK_PATH, self.rollback),
            web.post(APPLY_PATH, self.apply),
        ]

    async def rollback(self, request: web.Request) -> web.Response:
        """Turn the active version of a model down, and have the one before it answer."""
        wanted = await read_body(request, Rollback)
        version = await self._updates.rollback(wanted.model, reason=wanted.reason, by=operator_of(request))
        return json_reply(Switched(model=wanted.model, version=version))

    async def apply(self, request: web.Request) -> web.Response:
        """Let a candidate go on at once."""
        wanted = await read_body(request, Apply)
        version = await self._updates.apply(wanted.model, version=wanted.version, by=operator_of(request))
        return json_reply(Switched(model=wanted.model, version=version))

    async def history(self, request: web.Request) -> web.Response:
        """Give what happened, newest first."""
        wanted = _read_query(request)
        return json_reply(History(entries=tuple(self._updates.history(model=wanted.model, limit=wanted.limit))))


class _Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of a history."""

    model: Annotated[str, msgspec.Meta(pattern=rf"^$|{MODEL_NAME_PATTERN}")] = ""
    limit: Limit = DEFAULT_ENTRIES


def _read_query(request: web.Request) -> _Wanted:
    values: dict[str, object] = {}
    for name, value in request.query.items():
        if name in values:
            raise RequestError(f"The query names {name} more than once.")
        values[name] = int(value) if name == "limit" and _NUMBER.match(value) else value
    try:
        return convert(_Wanted, values, source="query")
    except DocumentError as exc:
        raise RequestError(exc.message) from exc
