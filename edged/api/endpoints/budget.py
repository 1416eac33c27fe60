"""What models cost this device on the last days, ``/edged/v1/budget``."""

from typing import Protocol

from aiohttp import web

from edged.api.documents.budget import BUDGET_PATH, BudgetDocument
from edged.api.endpoints.replies import json_reply


class BudgetSource(Protocol):
    """Knows what models cost."""

    async def budget(self) -> BudgetDocument:
        """Return the last days."""
        ...


class BudgetRoutes:
    """The handler.

    Args:
        source: Knows what models cost.
    """

    def __init__(self, source: BudgetSource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get(BUDGET_PATH, self.budget)]

    async def budget(self, _request: web.Request) -> web.Response:
        """Give the last days."""
        return json_reply(await self._source.budget())
