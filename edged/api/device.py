"""edged's own endpoints, ``/edged/v1``: what the device does and which models it has."""

from aiohttp import web

from edged.api.documents import list_models
from edged.api.ports import Models, StatusSource
from edged.api.replies import json_reply


class Device:
    """The handlers under ``/edged/v1`` that every caller may use."""

    def __init__(self, *, models: Models, status: StatusSource) -> None:
        self._models = models
        self._status = status

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [web.get("/edged/v1/status", self.status), web.get("/edged/v1/models", self.models)]

    async def status(self, _request: web.Request) -> web.Response:
        """Give the status document."""
        return json_reply(self._status.status())

    async def models(self, _request: web.Request) -> web.Response:
        """Give the models that answer requests."""
        return json_reply(list_models(self._models.views()))
