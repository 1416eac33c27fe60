"""Compose the API: which routes there are on which socket."""

from collections.abc import Iterable
from typing import Final

from aiohttp import web

from edged.api.description.operations import OPERATIONS
from edged.api.endpoints.device import Device
from edged.api.endpoints.flags import Flags
from edged.api.endpoints.metrics import Metrics
from edged.api.endpoints.replies import FOR_ADMINS, answer
from edged.api.endpoints.statistics import Statistics
from edged.api.endpoints.v2 import V2
from edged.api.ports import FlagsSource, Models, StatusSource, UsageSource

MAX_BODY_BYTES: Final = 64 << 10
"""Longest body of a request that is no inference."""


def make_app(
    *,
    models: Models,
    status: StatusSource,
    usage: UsageSource,
    metrics: Metrics,
    flags: FlagsSource,
    routes: Iterable[web.AbstractRouteDef] = (),
) -> web.Application:
    """Make the application of a socket.

    Which of several sockets a caller reaches is decided by who may open it, so no handler asks for permission again.

    Args:
        models: What answers.
        status: What the status document is made of.
        usage: What each model did.
        metrics: The handler of ``/metrics``.
        flags: The feature flags.
        routes: What only this socket has.
    """
    app = web.Application(middlewares=[answer], client_max_size=MAX_BODY_BYTES)
    # Before V2, to which a model could be called stats.
    app.add_routes(Statistics(models=models, usage=usage).routes())
    app.add_routes(V2(models=models, status=status).routes())
    app.add_routes(Device(models=models, status=status).routes())
    app.add_routes(Flags(flags).routes())
    app.add_routes(metrics.routes())
    app.add_routes(routes)
    app[FOR_ADMINS] = frozenset(operation.path for operation in OPERATIONS if operation.is_for_admins)
    return app
