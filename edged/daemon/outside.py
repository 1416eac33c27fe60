"""Puts together what leaves the device and what its models cost it: the book of the last days, and the endpoints of models."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from edged.api.endpoints.budget import BudgetRoutes
from edged.clock import Clock
from edged.config.schema import Config
from edged.daemon.budget import BudgetBook, work_of
from edged.daemon.decisions.seams import Contexts
from edged.daemon.offload.endpoints import Endpoints
from edged.daemon.serving.serving import Serving
from edged.pipeline.spec import TensorSpec
from edged.store.layout import StoreLayout
from edged.telemetry.exposition import Exposition


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """The parts. ``book.run`` is the caller's to run."""

    book: BudgetBook
    endpoints: Endpoints

    def routes(self) -> Sequence[web.RouteDef]:
        """Return the routes of every socket."""
        return BudgetRoutes(self.book).routes()

    def add_metrics(self, text: Exposition) -> None:
        """Add what left the device to the metrics; nothing where no model has an endpoint."""
        counts = [({"model": model}, counted) for model, counted in sorted(self.endpoints.counts().items())]
        if not counts:
            return
        text.counter(
            "edged_offload_requests_total",
            "Requests for endpoints outside of the device, by what became of them.",
            (
                ({**labels, "result": result}, number)
                for labels, counted in counts
                for result, number in (
                    ("answered", counted.answered),
                    ("failed", counted.failed),
                    ("refused", counted.refused),
                )
            ),
        )
        text.counter(
            "edged_offload_bytes_total",
            "Bytes of requests to endpoints and of their answers, without TLS, by direction.",
            (
                ({**labels, "direction": direction}, number)
                for labels, counted in counts
                for direction, number in (("sent", counted.sent_bytes), ("received", counted.received_bytes))
            ),
        )


@contextmanager
def outside(
    config: Config,
    *,
    serving: Serving,
    layout: StoreLayout,
    contexts: Contexts,
    clock: Clock,
    unix_s: Callable[[], float],
    logs_each: Callable[[], bool],
) -> Iterator[Outside]:
    """Put the parts together.

    Args:
        config: Paths and endpoints.
        serving: Knows the models and what they have done.
        layout: Where the updater says what it fetched.
        contexts: Know heat and power.
        clock: Monotonic.
        unix_s: The wall clock, as far as it is trusted.
        logs_each: Tells whether the regulatory mode wants every answer from outside in the journal.
    """
    book = BudgetBook(
        Path(config.paths.state) / "budget.json",
        spent=layout.spent,
        contexts=contexts,
        work=partial(work_of, serving),
        clock=clock,
        unix_s=unix_s,
    )
    endpoints = Endpoints(
        config.offload.endpoints,
        socket=Path(config.paths.offload_socket),
        outputs_of=partial(_outputs_of, serving),
        logs_each=logs_each,
        clock=clock,
        spent=book,
    )
    try:
        yield Outside(book=book, endpoints=endpoints)
    finally:
        endpoints.give_up()


def _outputs_of(serving: Serving, model: str) -> tuple[TensorSpec, ...]:
    return tuple(serving.view(model, None).outputs)
