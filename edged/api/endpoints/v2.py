"""The Open Inference Protocol v2 on HTTP: health, metadata, configuration, the repository index.

Inferences themselves never get here: ``edged.api.connection.guard`` hands them to ``edged.api.oip.infer``.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from edged import __version__
from edged.api.documents.status import ModelStatus
from edged.api.endpoints.replies import json_reply
from edged.api.oip.parameters import EXTENSIONS
from edged.api.oip.schemas import (
    ConfigParameter,
    ConfigState,
    ConfigTensor,
    IndexEntry,
    IndexRequest,
    IndexState,
    Liveness,
    ModelConfig,
    ModelMetadata,
    ModelParameters,
    ModelReadiness,
    Readiness,
    SequenceBatching,
    ServerMetadata,
    SpecificVersions,
    TensorMetadata,
    VersionPolicy,
)
from edged.api.ports import Models, ModelView, StatusSource
from edged.codec import Document
from edged.errors import RequestError
from edged.pipeline.spec import TensorSpec

_NOT_READY: Final = {"Retry-After": "1"}
_INDEX_STATES: Final[Mapping[str, IndexState]] = {
    "serving": "READY",
    "loading": "LOADING",
    "refused": "UNAVAILABLE",
    "failed": "UNAVAILABLE",
    "absent": "UNAVAILABLE",
    "stopped": "UNAVAILABLE",
    "fallback": "READY",
}


class _IndexRequest(Document, frozen=True, kw_only=True):
    ready: bool = False


class V2:
    """The handlers under ``/v2``."""

    def __init__(self, *, models: Models, status: StatusSource) -> None:
        self._models = models
        self._status = status

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
                web.route("*", model + "/infer", self.not_infer),
            ]
        return routes

    async def server(self, _request: web.Request) -> web.Response:
        """Describe this server."""
        return json_reply(ServerMetadata(name="edged", version=__version__, extensions=EXTENSIONS))

    async def live(self, _request: web.Request) -> web.Response:
        """Say that this process answers."""
        return json_reply(Liveness(live=True))

    async def ready(self, _request: web.Request) -> web.Response:
        """Say whether every active model answers; a device without models is ready."""
        is_ready = all(view.is_ready for view in self._models.views())
        return _readiness(Readiness(ready=is_ready, live=True))

    async def model(self, request: web.Request) -> web.Response:
        """Describe a model: what it takes and gives."""
        view = self._view(request)
        return json_reply(
            ModelMetadata(
                name=view.name,
                versions=(str(view.version),),
                platform=view.platform,
                inputs=tuple(_metadata(spec) for spec in view.inputs),
                outputs=tuple(_metadata(spec) for spec in view.outputs),
                parameters=ModelParameters(least_scale=view.least_scale) if view.least_scale < 1.0 else msgspec.UNSET,
            )
        )

    async def model_ready(self, request: web.Request) -> web.Response:
        """Say whether a model answers."""
        view = self._view(request)
        return _readiness(ModelReadiness(name=view.name, ready=view.is_ready))

    async def model_config(self, request: web.Request) -> web.Response:
        """Describe a model in the form of Triton's model configuration extension, which load generators read."""
        return json_reply(_config(self._view(request)))

    async def index(self, request: web.Request) -> web.Response:
        """List the models this device knows, as Triton's model repository extension does."""
        body = await request.read()
        try:
            wanted = msgspec.json.decode(body, type=IndexRequest) if body else IndexRequest()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise RequestError(f"Not an index request: {str(exc)[:200]}.") from exc
        entries = [_index_entry(model) for model in self._status.status().models]
        return json_reply([entry for entry in entries if entry.state == "READY" or not wanted.ready])

    async def not_infer(self, request: web.Request) -> web.Response:
        """Refuse what is at the path of an inference and is none."""
        # A POST that gets here is written in a way that is no path of this API, such as with escapes where none belong.
        if request.method == "POST":
            raise web.HTTPNotFound
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])

    def _view(self, request: web.Request) -> ModelView:
        return self._models.view(request.match_info["model"], request.match_info.get("version"))


def _readiness(body: Readiness | ModelReadiness) -> web.Response:
    # The body says what is the matter; a probe that looks at the status alone sees it too.
    if body.ready:
        return json_reply(body)
    return json_reply(body, status=HTTPStatus.SERVICE_UNAVAILABLE, headers=_NOT_READY)


def _metadata(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(name=spec.name, datatype=spec.dtype, shape=spec.shape)


def _config(view: ModelView) -> ModelConfig:
    """Describe tensors as Triton does: of a model that batches, without the first axis; of one with states, without those."""
    specs = [spec for spec in view.inputs if spec.name not in view.state_inputs]
    has_rows = view.max_rows > 0 and all(spec.shape[:1] == (-1,) for spec in (*specs, *view.outputs))
    skipped = 1 if has_rows else 0
    states = tuple(
        ConfigState(input_name=spec.name, data_type=_data_type(spec), dims=spec.shape)
        for spec in view.raw_inputs
        if spec.name in view.state_inputs
    )
    return ModelConfig(
        name=view.name,
        platform=view.platform,
        backend=view.platform.partition("_")[0],
        version_policy=VersionPolicy(specific=SpecificVersions(versions=(str(view.version),))),
        max_batch_size=view.max_rows if has_rows else 0,
        input=tuple(_config_tensor(spec, skipped) for spec in specs),
        output=tuple(_config_tensor(spec, skipped) for spec in view.outputs),
        sequence_batching=SequenceBatching(state=states) if states else msgspec.UNSET,
        parameters={"variant": ConfigParameter(string_value=view.variant)},
    )


def _config_tensor(spec: TensorSpec, skipped: int) -> ConfigTensor:
    return ConfigTensor(name=spec.name, data_type=_data_type(spec), dims=spec.shape[skipped:])


def _data_type(spec: TensorSpec) -> str:
    return "TYPE_STRING" if spec.dtype == "BYTES" else f"TYPE_{spec.dtype}"


def _index_entry(model: ModelStatus) -> IndexEntry:
    active = next((slot for slot in model.slots if slot.slot == model.active), None)
    reasons = [] if model.stop is None else [model.stop.reason]
    reasons += [f"in its place answers {model.fallback}"] if model.fallback else []
    reasons += [slot.reason for slot in model.slots if slot.reason] + [refusal.reason for refusal in model.refused]
    return IndexEntry(
        name=model.name,
        version=(active.version or "") if active else "",
        state=_INDEX_STATES[model.state],
        reason="" if model.state == "serving" else next(iter(reasons), ""),
    )
