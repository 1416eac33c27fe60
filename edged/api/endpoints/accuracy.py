"""Apps say how a model's answers do, ``/edged/v1/models/{model}/accuracy``: policies may ask about it."""

from aiohttp import web

from edged.api.documents.accuracy import ACCURACY_PATH, AccuracyHint, AccuracyTaken
from edged.api.endpoints.replies import json_reply
from edged.api.ports import AccuracyHints, Models
from edged.callers.peer import peer_of
from edged.codec import decode_json
from edged.errors import DocumentError, RequestError, UnavailableError


class AccuracyRoutes:
    """The handler.

    Args:
        models: Those that something may be said about.
        hints: Takes what is said.
    """

    def __init__(self, *, models: Models, hints: AccuracyHints) -> None:
        self._models = models
        self._hints = hints

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.post(ACCURACY_PATH, self.say)]

    async def say(self, request: web.Request) -> web.Response:
        """Take what an app says of a model."""
        model = self._models.view(request.match_info["model"], None).name
        try:
            hint = decode_json(AccuracyHint, await request.read(), source="body")
        except DocumentError as exc:
            raise RequestError(exc.message, pointer=exc.problems[0].pointer) from exc
        sock = None if request.transport is None else request.transport.get_extra_info("socket")
        if sock is None:
            raise UnavailableError("its caller left")
        self._hints.say(model, hint.accuracy, for_s=hint.for_s, uid=peer_of(sock).uid)
        return json_reply(AccuracyTaken(model=model, accuracy=hint.accuracy, for_s=hint.for_s))
