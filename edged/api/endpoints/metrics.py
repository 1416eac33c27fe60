"""``/metrics``: what edged counted, for Prometheus and whatever else reads its text format.

Labels are few and of edged's own making: models, versions, codes, reasons. Nothing tells one caller from another, so every app may read it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from edged.api.metrics.models import add_models
from edged.api.metrics.process import add_daemon
from edged.api.metrics.shadow import add_shadows
from edged.api.ports import UsageSource
from edged.ids import ModelName
from edged.telemetry.exposition import CONTENT_TYPE, Exposition
from edged.telemetry.processes import OwnUse, ProcessMemory, read_memory, read_own_use
from edged.telemetry.shadow import ShadowStats


class Metrics:
    """The handler of ``/metrics``.

    Args:
        usage: What each model did and does.
        connections: Returns the number of open connections by socket (``app``, ``admin``).
        reviews: Returns for each model whether it needs review, those of which nothing answers included.
        shadows: Returns what was counted of each model whose candidates were in the shadow of its active version.
        started_unix_s: When the daemon started.
        more: Each adds metrics of its own, after those of models.
    """

    def __init__(
        self,
        *,
        usage: UsageSource,
        connections: Callable[[], Mapping[str, int]],
        reviews: Callable[[], Mapping[str, bool]],
        shadows: Callable[[], Mapping[ModelName, ShadowStats]],
        started_unix_s: float,
        more: Sequence[Callable[[Exposition], None]] = (),
    ) -> None:
        self._usage = usage
        self._connections = connections
        self._reviews = reviews
        self._shadows = shadows
        self._started_unix_s = started_unix_s
        self._more = more
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/metrics", self.metrics)]

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give all metrics."""
        async with self._turn:  # However many ask, one at a time has processes looked into.
            pids = [model.worker_pid for model in self._usage.usage() if model.worker_pid is not None]
            memory, own = await asyncio.to_thread(_look, pids)
        text = Exposition()
        add_models(text, self._usage.usage(), memory)
        text.gauge(
            "edged_model_needs_review",
            "1 after a version was refused or rolled back, until a newer one is good.",
            (({"model": model}, int(needs_review)) for model, needs_review in sorted(self._reviews().items())),
        )
        add_shadows(text, self._shadows())
        for add in self._more:
            add(text)
        add_daemon(text, own, connections=self._connections(), started_unix_s=self._started_unix_s)
        # As a header, because aiohttp's arguments for type and charset know no version.
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _look(pids: Sequence[int]) -> tuple[dict[int, ProcessMemory], OwnUse]:
    return read_memory(pids), read_own_use()
