"""edged's own endpoints, ``/edged/v1``: what the device does and which models it has; and what all endpoints are."""

from collections.abc import Sequence

import msgspec
from aiohttp import web

from edged.api.description.openapi import document
from edged.api.documents.models import ModelEntry, ModelList
from edged.api.documents.status import STATUS_PATH
from edged.api.endpoints.replies import json_reply
from edged.api.ports import Models, ModelView, StatusSource


class Device:
    """The handlers of edged's own that every caller may use."""

    def __init__(self, *, models: Models, status: StatusSource) -> None:
        self._models = models
        self._status = status

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [
            web.get(STATUS_PATH, self.status),
            web.get("/edged/v1/models", self.models),
            web.get("/openapi.json", self.openapi),
        ]

    async def status(self, _request: web.Request) -> web.Response:
        """Give the status document."""
        return json_reply(self._status.status())

    async def models(self, _request: web.Request) -> web.Response:
        """Give the models that answer requests."""
        return json_reply(list_models(self._models.views()))

    async def openapi(self, _request: web.Request) -> web.Response:
        """Give the description of the API."""
        return web.Response(body=document(), content_type="application/json")


def list_models(views: Sequence[ModelView]) -> ModelList:
    """Describe models for edged's own endpoint."""
    return ModelList(models=tuple(_entry(view) for view in views))


def _entry(view: ModelView) -> ModelEntry:
    return ModelEntry(
        name=view.name,
        version=str(view.version),
        variant=view.variant,
        platform=view.platform,
        ready=view.is_ready,
        inputs=tuple(view.inputs),
        raw_inputs=tuple(view.raw_inputs),
        outputs=tuple(view.outputs),
        least_scale=view.least_scale if view.least_scale < 1.0 else msgspec.UNSET,
    )
