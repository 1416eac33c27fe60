"""Counts of requests and runs, ``/v2/models/{model}/stats``: Triton's statistics extension (``edged.api.oip.statistics``)."""

from aiohttp import web

from edged.api.endpoints.replies import json_reply
from edged.api.oip.statistics import statistics_of
from edged.api.ports import Models, UsageSource


class Statistics:
    """The handlers of the extension."""

    def __init__(self, *, models: Models, usage: UsageSource) -> None:
        self._models = models
        self._usage = usage

    def routes(self) -> list[web.RouteDef]:
        """Return every route; the first would otherwise be that of a model called stats."""
        return [
            web.get("/v2/models/stats", self.all),
            web.get("/v2/models/{model}/stats", self.model),
            web.get("/v2/models/{model}/versions/{version}/stats", self.model),
        ]

    async def all(self, _request: web.Request) -> web.Response:
        """Give the counts of every model."""
        return json_reply(statistics_of(self._usage.usage()))

    async def model(self, request: web.Request) -> web.Response:
        """Give the counts of one model."""
        view = self._models.view(request.match_info["model"], request.match_info.get("version"))
        return json_reply(statistics_of([model for model in self._usage.usage() if model.view.name == view.name]))
