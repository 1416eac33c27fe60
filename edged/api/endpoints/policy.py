"""The policy over HTTP: which rules are in force, what they would decide, and, for administrators, what decides in their place."""

from aiohttp import web

from edged.api.documents.policy import (
    CLEAR_PATH,
    EXPLAIN_PATH,
    OVERRIDE_PATH,
    POLICY_PATH,
    ClearRequest,
    ExplainRequest,
    OverrideRequest,
    OverridesDocument,
)
from edged.api.endpoints.bodies import operator_of, read_body
from edged.api.endpoints.replies import json_reply
from edged.api.ports import PolicySource, PolicySteering


class PolicyRoutes:
    """The handlers for everybody.

    Args:
        source: Knows the rules.
    """

    def __init__(self, source: PolicySource) -> None:
        self._source = source

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [web.get(POLICY_PATH, self.show), web.post(EXPLAIN_PATH, self.explain)]

    async def show(self, _request: web.Request) -> web.Response:
        """Give what is in force."""
        return json_reply(self._source.describe())

    async def explain(self, request: web.Request) -> web.Response:
        """Say what would be decided, and why."""
        wanted = await read_body(request, ExplainRequest)
        return json_reply(self._source.explain(model=wanted.model, given=wanted.given))


class OverrideRoutes:
    """The handlers for administrators.

    Args:
        steering: Does what is asked for.
    """

    def __init__(self, steering: PolicySteering) -> None:
        self._steering = steering

    def routes(self) -> list[web.RouteDef]:
        """Return every route."""
        return [web.post(OVERRIDE_PATH, self.override), web.post(CLEAR_PATH, self.clear)]

    async def override(self, request: web.Request) -> web.Response:
        """Decide about a model in the policy's place."""
        wanted = await read_body(request, OverrideRequest)
        status = await self._steering.override(
            wanted.model, wanted.then, for_s=wanted.for_s, reason=wanted.reason, by=operator_of(request)
        )
        return json_reply(status)

    async def clear(self, request: web.Request) -> web.Response:
        """End overrides before their time."""
        wanted = await read_body(request, ClearRequest)
        ended = await self._steering.clear(wanted.model, by=operator_of(request))
        return json_reply(OverridesDocument(overrides=tuple(ended)))
