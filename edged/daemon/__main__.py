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
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, closing, nullcontext
from pathlib import Path

from edged.clock import SystemClock
from edged.config.schema import Config
from edged.daemon.decisions.assembly import decisions
from edged.daemon.decisions.rulebook import Rulebook
from edged.daemon.doors import doors
from edged.daemon.fleet.fleet import Fleet
from edged.daemon.fleet.obedience import device_of, obedience
from edged.daemon.frequency import wishing
from edged.daemon.lifecycle.advice import LiveOrders
from edged.daemon.lifecycle.lifecycle import Lifecycle
from edged.daemon.lifecycle.slot_table import SlotTable
from edged.daemon.lifecycle.window import Window
from edged.daemon.outside import outside
from edged.daemon.progress import Progress
from edged.daemon.senses.awareness import awareness
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.workers import Workers, parallel_of
from edged.daemon.settings import Settings
from edged.daemon.variants.assembly import switching
from edged.daemon.variants.measures import Measures
from edged.event_loop import feed_watchdog, on_loop, stop_event
from edged.footprint import give_back, read_pages
from edged.host.template import Template
from edged.notify import Notifier
from edged.process import run_service
from edged.select.machine import read_machine
from edged.store.layout import StoreLayout
from edged.store.state import StateDb
from edged.telemetry.processes import read_available_bytes

OrdersFrom = Callable[[Fleet], AbstractContextManager[LiveOrders]]
"""What the orders are that the daemon follows, made of the fleet's; held while it runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; returns the exit code."""
    return run_service(
        argv, verb="run", identifier="edged", description="Decide, activate and serve models.", serve=on_loop(serve)
    )  # (1)


async def serve(config: Config, config_paths: Sequence[Path], *, orders_from: OrdersFrom = nullcontext) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reloads.

    Args:
        config: The settings.
        config_paths: Where they came from.
        orders_from: On a device, the fleet's orders are the only ones.

    Raises:
        StoreError: The slot table cannot be opened.
        BackendError: The template does not start.
        OSError: A socket cannot be had.
    """
    stop, reload = stop_event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    clock = SystemClock()
    settings = Settings(config, config_paths, clock)
    limits, rules = settings.limits, settings.rules
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
        orders = stack.enter_context(orders_from(obeying.fleet))
        rulebook = Rulebook(config, fleet=obeying.fleet, diary=obeying.diary)
        await rulebook.overrides.look()  # before one of them decides about anything
        aware = await stack.enter_async_context(
            awareness(
                config,
                serving=serving,
                state=state,
                fleet=obeying.fleet,
                clock=clock,
                rules=lambda: rules.sense,
                regulatory=lambda: rulebook.policies.regulatory.name,
            )
        )
        rulebook.policies.on_change(aware.senses.renew)
        window = Window(
            rules=lambda: (rules.window, obeying.fleet.window),
            contexts=aware.senses,
            idle_s=lambda: aware.presence.idle_s(serving.idle_s()),
            clock=clock,
            notes=Path(config.paths.state) / "waits.json",
        )
        beyond = stack.enter_context(
            outside(
                config,
                serving=serving,
                layout=layout,
                contexts=aware.senses,
                clock=clock,
                unix_s=obeying.fleet.trusted_unix_s,
                logs_each=lambda: rulebook.policies.regulatory.logs_decisions,
            )
        )
        measures = Measures(state, energy=beyond.book.energy)
        lifecycle = Lifecycle(
            layout=layout,
            table=table,
            serving=serving,
            orders=orders,
            window=window,
            machine=machine,
            available_bytes=read_available_bytes,
            start_worker=workers.start,
            start_in_background=workers.start_in_background,
            clock=clock,
            limits=lambda: limits.current,
            shadow=lambda: rules.shadow,
            trial=lambda: rules.trial,
            has_passed=measures.has_passed,
            beat=progress.beat,
        )
        orders.on_change(lifecycle.wake)
        switched = switching(
            serving=serving,
            measures=measures,
            table=table,
            lifecycle=lifecycle,
            machine=machine,
            clock=clock,
            rules=lambda: rules.warm,
            limits=lambda: limits.current,
            beat=progress.beat,
        )
        variants = switched.variants
        decided = stack.enter_context(
            decisions(
                serving=serving,
                contexts=aware.senses,
                policies=rulebook.policies,
                variants=variants,
                accuracy=aware.accuracy,
                endpoint=beyond.endpoints,
                limits=limits,
                clock=clock,
                events=aware.events,
            )
        )
        stack.enter_context(wishing(Path(config.paths.frequency_wish), decided.decider, aware.senses, clock))
        await lifecycle.boot()  # (4)
        progress.started()
        tensors = await stack.enter_async_context(
            doors(
                config,
                settings,
                serving=serving,
                table=table,
                lifecycle=lifecycle,
                window=window,
                fleet=obeying.fleet,
                orders=orders,
                rulebook=rulebook,
                aware=aware,
                switched=switched,
                beyond=beyond,
                decided=decided,
                clock=clock,
                started_at=started_at,
            )
        )  # (5)
        async with asyncio.TaskGroup() as parts:
            running = [
                parts.create_task(obeying.diary.run(), name="diary"),
                parts.create_task(obeying.fallbacks.run(), name="fallbacks"),
                parts.create_task(rulebook.overrides.run(), name="overrides"),
                parts.create_task(aware.senses.run(), name="senses"),
                parts.create_task(beyond.book.run(), name="budget"),
                parts.create_task(window.run(), name="window"),
                parts.create_task(variants.run(), name="variants"),
                parts.create_task(lifecycle.run(), name="lifecycle"),
                parts.create_task(feed_watchdog(notifier, progress.is_recent), name="watchdog"),
                parts.create_task(settings.run(reload, rulebook.policies, notifier), name="reload"),
            ]
            give_back(read_pages())
            notifier.ready()  # (6)
            await stop.wait()
            notifier.stopping()
            # Whoever listens has nothing to wait for, nor has what is kept; the sockets would wait for them.
            aware.events.close()
            decided.holding.close()
            # At the same time as the other sockets, which are left first.
            tensors.begin_to_end()
            for task in reversed(running):
                task.cancel()
        await variants.write_down()
        await lifecycle.end_cleanly()


if __name__ == "__main__":
    sys.exit(main())
