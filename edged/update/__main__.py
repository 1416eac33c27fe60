"""``edged update``: the updater's process. Reads settings, keeps the store up to date until SIGTERM; SIGUSR1 polls at once."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import edged
from edged.clock import SystemClock
from edged.config.schema import Config
from edged.notify import Notifier, feed_watchdog
from edged.process import run_service, stop_event
from edged.select.machine import read_machine
from edged.select.matcher import usable_variants
from edged.store.layout import StoreLayout
from edged.update.client import Client
from edged.update.fetcher import Host
from edged.update.now import Now
from edged.update.service import Service


def main(argv: Sequence[str] | None = None) -> int:
    """Run the updater; returns the exit code."""
    return run_service(
        argv,
        verb="update",
        identifier="edged-update",
        description="Fetches, verifies and stages bundles.",
        serve=serve,
    )


async def serve(config: Config, _paths: Sequence[Path]) -> None:
    """Keep the store up to date until SIGTERM or SIGINT.

    Raises:
        StoreError: The store cannot be made ready.
    """
    clock = SystemClock()
    layout = StoreLayout(Path(config.paths.store))
    host = Host(gate=Path(config.paths.gate_socket), timeout_s=config.update.timeout_s, clock=clock)
    machine = read_machine()
    client = Client(
        url=config.repository.url,
        root=Path(config.repository.root),
        layout=layout,
        host=host,
        usable=lambda manifest: usable_variants(manifest, machine),
        disk_reserve_bytes=config.update.disk_reserve_bytes,
        now_unix_s=Now(clock=clock, package=Path(edged.__file__), layout=layout).unix_s,
    )
    client.prepare()
    service = Service(
        poller=client if config.repository.url else None,
        repository=config.repository.url,
        config=config.update,
        poll_interval_s=config.repository.poll_interval_s,
        status_path=Path(config.paths.update_status),
        clock=clock,
    )
    await _run(service, host)


async def _run(service: Service, host: Host) -> None:
    stop = stop_event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, service.poll_now)
    notifier = Notifier()
    service.announce()
    try:
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(service.run(), name="service"),
                group.create_task(feed_watchdog(notifier, service.is_alive), name="watchdog"),
            ]
            notifier.ready()
            await stop.wait()
            notifier.stopping()
            for part in parts:
                part.cancel()
    finally:
        # The poll's thread may wait for the network: this ends it. What it has fetched so far stays and is resumed.
        host.abort()
        notifier.close()


if __name__ == "__main__":
    sys.exit(main())
