"""``edged run``: the daemon's process, told in the order in which it starts and, backwards, stops.

(1) settings        every problem at once, before anything is touched
(2) state           the slot table
(3) template        the process that workers are forked from
(4) boot            what was active before is served again, from the store alone
(5) sockets         callers waited in the sockets' backlog until here
(6) READY           systemd is told; the lifecycle looks for work until SIGTERM
"""

import edged.no_tls  # noqa: F401 - first, for what it keeps out

# isort: split

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final

from edged.api.app import make_app
from edged.api.gate import Gate
from edged.api.infer import Services
from edged.api.limits import LiveLimits
from edged.api.metrics import Metrics
from edged.api.serve import serve_sites
from edged.api.steering import SteeringRoutes
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.load import load_config
from edged.config.schema import Config
from edged.daemon.descriptors import allow_descriptors, descriptors_wanted
from edged.daemon.fleet.obedience import device_of, obedience
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.live_rules import LiveRules
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.steering import Steering
from edged.daemon.lifecycle.surroundings import Senses
from edged.daemon.lifecycle.window import Window
from edged.daemon.report import Report
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.workers import Workers, parallel_of
from edged.daemon.tensors.tensor_socket import TensorSocket
from edged.daemon.unit_rules import report_hidden_units
from edged.errors import ConfigError
from edged.event_loop import feed_watchdog, on_loop, stop_event
from edged.footprint import give_back, read_pages
from edged.host.template import Template
from edged.notify import Notifier
from edged.process import listening, run_service
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from edged.telemetry.processes import read_available_bytes

LOG = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
ADMIN_DRAIN_S: Final = 1.0
"""Comes on top: the two sockets drain one after the other."""
STUCK_MARGIN_S: Final = 30.0
"""Beyond the longest single step, loading a model or running a request, systemd may take silence for being stuck."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns the exit code."""
    return run_service(
        argv, verb="run", identifier="edged", description="Decide, activate and serve models.", serve=on_loop(serve)
    )  # (1)


class Progress:
    """Remembers the last sign of progress: more time to start with each, and something for the watchdog later."""

    def __init__(self, clock: SystemClock, notifier: Notifier, *, longest_step_s: float) -> None:
        self._clock = clock
        self._stuck_after_s = longest_step_s + STUCK_MARGIN_S
        self._notifier = notifier
        self._last_s = clock.monotonic_s()
        self._is_started = False

    def beat(self) -> None:
        """Say that something got done."""
        self._last_s = self._clock.monotonic_s()
        if not self._is_started:
            self._notifier.extend_start(self._stuck_after_s)

    def started(self) -> None:
        """Say that starting is over."""
        self._is_started = True

    def is_recent(self) -> bool:
        """Tell whether something got done lately."""
        return self._clock.monotonic_s() - self._last_s < self._stuck_after_s


async def serve(config: Config, config_paths: Sequence[Path]) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads.

    Raises:
        StoreError: The slot table cannot be opened.
        BackendError: The template does not start.
        OSError: A socket cannot be had.
    """
    stop, reload = stop_event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    clock = SystemClock()
    limits = LiveLimits(config.serve, config.limits)
    rules = LiveRules(window=config.window, trial=config.trial)
    _prepare(config)
    started_at = clock.unix_s()
    async with AsyncExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier()))
        longest_step_s = max(config.worker.load_timeout_s, config.serve.request_timeout_s)
        progress = Progress(clock, notifier, longest_step_s=longest_step_s)
        state = stack.enter_context(closing(StateDb.open(Path(config.paths.state) / "state.db")))  # (2)
        table = SlotTable(state, clock, in_use=Path(config.paths.in_use))
        template = await stack.enter_async_context(Template())  # (3)
        workers = Workers(template, config.worker, lambda: limits.current)
        serving = await stack.enter_async_context(
            Serving(
                start_worker=workers.start,
                parallel=parallel_of(config.worker),
                poison_rest_s=config.worker.poison_rest_s,
                limits=lambda: limits.current,
            )
        )
        layout, machine = StoreLayout(Path(config.paths.store)), read_machine()
        obeying = stack.enter_context(
            obedience(
                layout=layout,
                state=state,
                table=table,
                serving=serving,
                machine=machine,
                device=device_of(config.device, machine),
                clock=clock,
                poll_interval_s=lambda: config.repository.poll_interval_s,
            )
        )
        window = Window(
            rules=lambda: (rules.window, obeying.fleet.window),
            senses=Senses(clock=clock, trusted_unix_s=obeying.fleet.trusted_unix_s),
            idle_s=serving.idle_s,
            clock=clock,
            notes=Path(config.paths.state) / "waits.json",
        )
        lifecycle = Lifecycle(
            layout=layout,
            table=table,
            serving=serving,
            orders=obeying.fleet,
            window=window,
            machine=machine,
            available_bytes=read_available_bytes,
            start_worker=workers.start,
            clock=clock,
            limits=lambda: limits.current,
            trial=lambda: rules.trial,
            beat=progress.beat,
        )
        obeying.fleet.on_change(lifecycle.wake)
        await lifecycle.boot()  # (4)
        progress.started()
        report = Report(
            table=table,
            serving=serving,
            lifecycle=lifecycle,
            orders=obeying.fleet,
            device=obeying.fleet.device,
            update_status=Path(config.paths.update_status),
            started_at=started_at,
        )
        quotas = Quotas(lambda: limits.callers, clock)
        services = Services(models=serving, usage=serving, quotas=quotas, limits=limits)
        listener = stack.enter_context(
            listening("tensor", Path(config.paths.tensor_socket), kind=socket.SOCK_SEQPACKET)
        )  # (5)
        tensors = await stack.enter_async_context(
            TensorSocket(
                listener,
                serving=serving,
                quotas=quotas,
                limits=lambda: limits.current,
                poison_rest_s=config.worker.poison_rest_s,
                drain_s=DRAIN_S,
            )
        )
        gates = dict[str, Gate]()
        metrics = Metrics(
            usage=serving,
            connections=lambda: (
                {name: gate.connections for name, gate in gates.items()} | {"tensor": tensors.connections}
            ),
            reviews=report.reviews,
            started_unix_s=started_at,
        )
        steering = SteeringRoutes(Steering(lifecycle=lifecycle, table=table, window=window, clock=clock))
        for name, path, drain_s, routes in (
            ("app", config.paths.app_socket, DRAIN_S, ()),
            ("admin", config.paths.admin_socket, ADMIN_DRAIN_S, steering.routes()),
        ):
            app = make_app(
                models=serving, status=report, usage=serving, metrics=metrics, flags=obeying.fleet, routes=routes
            )
            listener = stack.enter_context(listening(name, Path(path)))
            gates[name] = await stack.enter_async_context(serve_sites(app, services, [listener], drain_s=drain_s))
        async with asyncio.TaskGroup() as parts:
            running = [
                parts.create_task(obeying.diary.run(), name="diary"),
                parts.create_task(obeying.fallbacks.run(), name="fallbacks"),
                parts.create_task(window.run(), name="window"),
                parts.create_task(lifecycle.run(), name="lifecycle"),
                parts.create_task(feed_watchdog(notifier, progress.is_recent), name="watchdog"),
                parts.create_task(
                    _reload_when_asked(reload, config_paths, config, limits, rules, notifier), name="reload"
                ),
            ]
            give_back(read_pages())
            notifier.ready()  # (6)
            await stop.wait()
            notifier.stopping()
            # At the same time as the other sockets, which are left first.
            tensors.begin_to_end()
            for task in reversed(running):
                task.cancel()
        await lifecycle.end_cleanly()


def _prepare(config: Config) -> None:
    """Do what settings ask of the process as a whole, and say what this device cannot do of them."""
    allow_descriptors(descriptors_wanted(config.serve))
    report_hidden_units(config.limits)


async def _reload_when_asked(
    asked: asyncio.Event,
    paths: Sequence[Path],
    started_with: Config,
    limits: LiveLimits,
    rules: LiveRules,
    notifier: Notifier,
) -> None:
    """Apply what may change while running; a configuration with a mistake changes nothing."""
    while True:
        await asked.wait()
        asked.clear()
        notifier.reloading()
        try:
            config = await asyncio.to_thread(load_config, paths)
        except ConfigError as exc:
            LOG.error("Reload refused, settings unchanged: %s", exc)  # noqa: TRY400 - the operator needs the sentence
        else:
            limits.current, limits.callers = config.serve, config.limits
            rules.window, rules.trial = config.window, config.trial
            _prepare(config)
            if (config.paths, config.worker) != (started_with.paths, started_with.worker):
                LOG.warning("Changes to [paths] and [worker] take effect after a restart")
            LOG.info("Settings reloaded")
        notifier.ready()


if __name__ == "__main__":
    sys.exit(main())
