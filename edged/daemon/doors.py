"""Opens the sockets: what may be asked on each of them, and who answers that.

All of them are entered together and left together, the one for administrators first: it drains only for a moment.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from edged.api.app import make_app
from edged.api.connection.gate import Gate
from edged.api.connection.serve import serve_sites
from edged.api.endpoints.metrics import Metrics
from edged.api.endpoints.steering import SteeringRoutes
from edged.api.oip.infer import Services
from edged.callers.quotas import Quotas
from edged.clock import Clock
from edged.config.schema import Config
from edged.daemon.decisions.assembly import Decisions
from edged.daemon.decisions.rulebook import Rulebook
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.lifecycle.advice import Orders
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.steering import Steering
from edged.daemon.lifecycle.window import Window
from edged.daemon.outside import Outside
from edged.daemon.report import Report
from edged.daemon.senses.awareness import Awareness
from edged.daemon.serving.serving import Serving
from edged.daemon.settings import Settings
from edged.daemon.tensors.tensor_socket import TensorSocket
from edged.daemon.variants.assembly import Switching
from edged.process import listening

DRAIN_S: Final = 5.0
ADMIN_DRAIN_S: Final = 1.0
"""Comes on top: the two sockets drain one after the other."""


@asynccontextmanager
async def doors(
    config: Config,
    settings: Settings,
    *,
    serving: Serving,
    table: SlotTable,
    lifecycle: Lifecycle,
    window: Window,
    fleet: Fleet,
    orders: Orders,
    rulebook: Rulebook,
    aware: Awareness,
    switched: Switching,
    beyond: Outside,
    decided: Decisions,
    clock: Clock,
    started_at: float,
) -> AsyncIterator[TensorSocket]:
    """Let callers in until this is left; gives the socket whose end may begin before.

    Args:
        config: Paths.
        settings: Limits in force.
        serving: Has the models, and what they did.
        table: The slots.
        lifecycle: How candidates and trials are doing.
        window: When something may be activated.
        fleet: What its documents mean here.
        orders: What should run.
        rulebook: The policy, for those who want to know of it or override it.
        aware: What the device knows of itself.
        switched: The variants.
        beyond: What leaves the device.
        decided: Answers requests as it was decided.
        clock: Both clocks.
        started_at: Unix seconds when the daemon started.

    Raises:
        OSError: A socket cannot be had.
    """
    limits, models = settings.limits, decided.models
    report = Report(
        table=table,
        serving=serving,
        lifecycle=lifecycle,
        orders=orders,
        device=fleet.device,
        variants=switched.report.of,
        decision=decided.of,
        background=decided.kept,
        refused_policies=lambda: rulebook.policies.refused,
        refused_reload=lambda: settings.refused,
        update_status=Path(config.paths.update_status),
        started_at=started_at,
    )
    quotas = Quotas(lambda: limits.callers, clock)
    services = Services(models=models, usage=serving, quotas=quotas, limits=limits)
    steering = SteeringRoutes(Steering(lifecycle=lifecycle, table=table, window=window, clock=clock))
    pages = rulebook.pages(
        contexts=aware.senses, variants=switched.variants, accuracy=aware.accuracy, decisions=decided.decider
    )
    told = [*aware.routes(models), *decided.routes(), *beyond.routes()]
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(
            listening("tensor", Path(config.paths.tensor_socket), kind=socket.SOCK_SEQPACKET)
        )
        tensors = await stack.enter_async_context(
            TensorSocket(
                listener,
                serving=serving,
                answering=models.answering,
                scale=models.scale,
                limiting=models.limiting,
                quotas=quotas,
                limits=lambda: limits.current,
                poison_rest_s=config.worker.poison_rest_s,
                drain_s=DRAIN_S,
            )
        )
        decided.decider.on_change(tensors.decided)
        gates = dict[str, Gate]()
        metrics = Metrics(
            usage=serving,
            connections=lambda: (
                {name: gate.connections for name, gate in gates.items()} | {"tensor": tensors.connections}
            ),
            reviews=report.reviews,
            shadows=lambda: lifecycle.shadows.stats,
            started_unix_s=started_at,
            more=[aware.add_metrics, decided.add_metrics, switched.report.add_metrics, beyond.add_metrics],
        )
        for name, path, drain_s, routes in (
            ("app", config.paths.app_socket, DRAIN_S, [*told, *pages.for_all]),
            ("admin", config.paths.admin_socket, ADMIN_DRAIN_S, [*told, *pages.for_admins, *steering.routes()]),
        ):
            app = make_app(models=models, status=report, usage=serving, metrics=metrics, flags=fleet, routes=routes)
            listener = stack.enter_context(listening(name, Path(path)))
            gates[name] = await stack.enter_async_context(serve_sites(app, services, [listener], drain_s=drain_s))
        yield tensors
