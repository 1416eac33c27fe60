"""The device as it is now, ``/edged/v1/context``: every quantity that policies may ask about, and the sensors one by one."""

from aiohttp import web

from edged.api.documents.context import CONTEXT_PATH, describe_context
from edged.api.endpoints.replies import json_reply
from edged.api.ports import ContextSource


class ContextRoutes:
    """The handler.

    Args:
        source: Knows the device.
    """

    def __init__(self, source: ContextSource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(CONTEXT_PATH, self.context)]

    async def context(self, _request: web.Request) -> web.Response:
        """Give the context."""
        return json_reply(describe_context(self._source.current, sensors=self._source.sensors))
