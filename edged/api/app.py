"""Compose the API: which routes there are on which socket."""

from collections.abc import Iterable

from aiohttp import web

from edged.api.device import Device
from edged.api.limits import LiveLimits
from edged.api.ports import Models, StatusSource
from edged.api.replies import answer
from edged.api.v2 import V2
from edged.clock import Clock


def make_app(models: Models, status: StatusSource, limits: LiveLimits, clock: Clock) -> web.Application:
    """Make the application of the app socket.

    Args:
        models: What answers.
        status: What the status document is made of.
        limits: Swapped by a reload; read anew for each request.
        clock: For deadlines.
    """
    # The guard bounds bodies before they get here, by a limit that a reload can change.
    app = web.Application(middlewares=[answer], client_max_size=0)
    app.add_routes(V2(models=models, status=status, limits=limits, clock=clock).routes())
    app.add_routes(Device(models=models, status=status).routes())
    return app


def make_admin_app(
    models: Models, status: StatusSource, limits: LiveLimits, clock: Clock, routes: Iterable[web.AbstractRouteDef] = ()
) -> web.Application:
    """Make the application of the admin socket: all of the app socket's, and routes that only administrators have.

    Which of the two a caller reaches is decided by who may open the socket, so no handler asks for permission again.
    """
    app = make_app(models, status, limits, clock)
    app.add_routes(routes)
    return app
