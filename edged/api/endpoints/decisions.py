"""What is decided about requests, ``/edged/v1/decisions``: of every kind of request, and what has changed lately."""

from aiohttp import web

from edged.api.documents.decisions import DECISIONS_PATH, DecisionsDocument
from edged.api.endpoints.replies import json_reply
from edged.api.ports import DecisionSource


class DecisionRoutes:
    """The handler."""

    def __init__(self, source: DecisionSource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(DECISIONS_PATH, self.decisions)]

    async def decisions(self, _request: web.Request) -> web.Response:
        """Give every decision, and what has changed lately."""
        return json_reply(DecisionsDocument(decisions=self._source.decisions, recent=self._source.recent))
