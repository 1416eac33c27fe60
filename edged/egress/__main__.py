"""``edged egress``: the gate's process. Reads settings, takes its socket, serves until SIGTERM."""

import edged.no_tls  # noqa: F401 - first, for what it keeps out

# isort: split

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from edged.clock import SystemClock
from edged.config.schema import Config
from edged.egress.interfaces import read_way
from edged.egress.observer import LinkObserver
from edged.egress.proxy import Gate, GateLimits
from edged.egress.users import read_policies
from edged.event_loop import feed_watchdog, on_loop, stop_event
from edged.notify import Notifier
from edged.process import listening, run_service

LOG = logging.getLogger(__name__)

DRAIN_S: Final = 5.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gate; returns the exit code."""
    return run_service(
        argv,
        verb="egress",
        identifier="edged-egress",
        description="The egress gate: the only process with a network.",
        serve=on_loop(serve),
    )


async def serve(config: Config, _paths: Sequence[Path]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: The lists of destinations are wrong.
        OSError: The socket cannot be had.
    """
    limits = GateLimits(
        connect_timeout_s=config.egress.connect_timeout_s,
        idle_timeout_s=config.egress.idle_timeout_s,
        max_connections=config.egress.max_connections,
    )
    is_metered = {"yes": True, "no": False, "unknown": None}[config.egress.metered]
    observer = LinkObserver(Path(config.paths.link_status), read_way, is_metered=is_metered, clock=SystemClock())
    policy, policies = read_policies(config)
    gate = Gate(
        policy=policy,
        limits=limits,
        policies=policies,
        is_metered=is_metered,
        resolve=observer.resolve,
        dial=observer.dial,
    )
    stop = stop_event()
    with closing(Notifier()) as notifier, listening("proxy", Path(config.paths.gate_socket)) as listener:
        async with asyncio.TaskGroup() as group:
            # The gate is alive when its loop turns: a tunnel that stalls is ended by its own timeout, not by a restart.
            watchdog = group.create_task(feed_watchdog(notifier, lambda: True), name="watchdog")
            looking = group.create_task(observer.run(), name="link")
            group.create_task(gate.run(listener, stop, drain_s=DRAIN_S), name="gate")
            notifier.ready()
            await stop.wait()
            notifier.stopping()
            looking.cancel()
            watchdog.cancel()
    LOG.info("stopped after %d tunnels, %d refused", gate.counters.tunnels, gate.counters.refused)


if __name__ == "__main__":
    sys.exit(main())
