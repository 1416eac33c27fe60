"""The Open Inference Protocol v2 on HTTP: health, metadata, configuration, the repository index, inference."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from edged import __version__
from edged.api.body import read_body
from edged.api.limits import BodyMemory, LiveLimits
from edged.api.oip import HEADER_LENGTH, build_response, parse_header_length, parse_request
from edged.api.oip_parameters import EXTENSIONS
from edged.api.ports import Models, ModelView, StatusSource
from edged.api.replies import json_reply
from edged.api.status import ModelStatus
from edged.clock import Clock
from edged.codec import Document
from edged.errors import RequestError
from edged.pipeline.spec import TensorSpec

_NOT_READY: Final = {"Retry-After": "1"}
_INDEX_STATES: Final = {"serving": "READY", "loading": "LOADING", "refused": "UNAVAILABLE", "failed": "UNAVAILABLE"}


class _IndexRequest(Document, frozen=True, kw_only=True):
    ready: bool = False


class V2:
    """The handlers under ``/v2``."""

    def __init__(self, *, models: Models, status: StatusSource, limits: LiveLimits, clock: Clock) -> None:
        self._models = models
        self._status = status
        self._limits = limits
        self._clock = clock
        self._memory = BodyMemory(limits)

    def routes(self) -> list[web.RouteDef]:
        """Return every route; a model's paths exist with and without a version."""
        routes = [
            web.get("/v2", self.server),
            web.get("/v2/health/live", self.live),
            web.get("/v2/health/ready", self.ready),
            web.post("/v2/repository/index", self.index),
        ]
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            routes += [
                web.get(model, self.model),
                web.get(model + "/ready", self.model_ready),
                web.get(model + "/config", self.model_config),
                web.post(model + "/infer", self.infer),
            ]
        return routes

    async def server(self, _request: web.Request) -> web.Response:
        """Describe this server."""
        return json_reply({"name": "edged", "version": __version__, "extensions": EXTENSIONS})

    async def live(self, _request: web.Request) -> web.Response:
        """Say that this process answers."""
        return json_reply({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        """Say whether every active model answers; a device without models is ready."""
        is_ready = all(view.is_ready for view in self._models.views())
        return _readiness({"ready": is_ready, "live": True}, is_ready=is_ready)

    async def model(self, request: web.Request) -> web.Response:
        """Describe a model: what it takes and gives."""
        view = self._view(request)
        return json_reply(
            {
                "name": view.name,
                "versions": [str(view.version)],
                "platform": view.platform,
                "inputs": [_metadata(spec) for spec in view.inputs],
                "outputs": [_metadata(spec) for spec in view.outputs],
            }
        )

    async def model_ready(self, request: web.Request) -> web.Response:
        """Say whether a model answers."""
        view = self._view(request)
        return _readiness({"name": view.name, "ready": view.is_ready}, is_ready=view.is_ready)

    async def model_config(self, request: web.Request) -> web.Response:
        """Describe a model in the form of Triton's model configuration extension, which load generators read."""
        view = self._view(request)
        return json_reply(
            {
                "name": view.name,
                "platform": view.platform,
                "backend": view.platform.partition("_")[0],
                "version_policy": {"specific": {"versions": [str(view.version)]}},
                "max_batch_size": 0,
                "input": [_config(spec) for spec in view.inputs],
                "output": [_config(spec) for spec in view.outputs],
                "parameters": {"variant": {"string_value": view.variant}},
            }
        )

    async def index(self, request: web.Request) -> web.Response:
        """List the models this device knows, as Triton's model repository extension does."""
        with self._memory.reserve(request.content_length or 0):
            body = await read_body(request, timeout_s=self._limits.current.request_timeout_s)
        try:
            wanted = msgspec.json.decode(body, type=_IndexRequest) if body else _IndexRequest()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise RequestError(f"Not an index request: {str(exc)[:200]}.") from exc
        entries = [_index_entry(model) for model in self._status.status().models]
        return json_reply([entry for entry in entries if entry["state"] == "READY" or not wanted.ready])

    async def infer(self, request: web.Request) -> web.Response:
        """Run a model on what the request brings."""
        view = self._view(request)
        limits = self._limits.current
        arrived_s = self._clock.monotonic_s()
        with self._memory.reserve(request.content_length or 0):
            body = await read_body(request, timeout_s=limits.request_timeout_s)
            wanted = parse_request(body, parse_header_length(request.headers.get(HEADER_LENGTH), len(body)), view)
            timeout_s = min(wanted.timeout_s or limits.request_timeout_s, limits.request_timeout_s)
            answer = await self._models.infer(
                view.name,
                request.match_info.get("version"),
                wanted.inputs,
                [output.name for output in wanted.outputs],
                # Counted from the arrival of the head: reading and parsing the body is part of what the caller waits for.
                timeout_s=max(0.0, arrived_s + timeout_s - self._clock.monotonic_s()),
            )
        parts, header_length = build_response(wanted, answer)
        headers = {"Edged-Variant": answer.model.variant, "Edged-Model-Version": str(answer.model.version)}
        if header_length is None:
            return web.Response(body=parts[0], headers=headers, content_type="application/json")
        headers[HEADER_LENGTH] = str(header_length)
        return web.Response(body=b"".join(parts), headers=headers, content_type="application/octet-stream")

    def _view(self, request: web.Request) -> ModelView:
        return self._models.view(request.match_info["model"], request.match_info.get("version"))


def _readiness(body: dict[str, Any], *, is_ready: bool) -> web.Response:
    # The body says what is the matter; a probe that looks at the status alone sees it too.
    if is_ready:
        return json_reply(body)
    return json_reply(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_NOT_READY)


def _metadata(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.dtype, "shape": spec.shape}


def _config(spec: TensorSpec) -> dict[str, Any]:
    data_type = "TYPE_STRING" if spec.dtype == "BYTES" else f"TYPE_{spec.dtype}"
    return {"name": spec.name, "data_type": data_type, "dims": spec.shape}


def _index_entry(model: ModelStatus) -> dict[str, str]:
    active = next((slot for slot in model.slots if slot.slot == model.active), None)
    reasons = [slot.reason for slot in model.slots if slot.reason] + [refusal.reason for refusal in model.refused]
    return {
        "name": model.name,
        "version": (active.version or "") if active else "",
        "state": _INDEX_STATES[model.state],
        "reason": "" if model.state == "serving" else next(iter(reasons), ""),
    }
