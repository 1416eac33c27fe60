"""``edged offload``: the process that asks endpoints. It sees requests that may leave the device, and ends TLS; it has no network."""

import asyncio
import logging
import ssl
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edged.config.schema import Config
from edged.event_loop import feed_watchdog, on_loop, stop_event
from edged.notify import Notifier
from edged.offload.credentials import read_credential
from edged.offload.exchange import Endpoint
from edged.offload.service import OffloadService
from edged.process import listening, run_service

LOG = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service; returns the exit code."""
    return run_service(
        argv,
        verb="offload",
        identifier="edged-offload",
        description="Ask endpoints outside of the device, through the gate.",
        serve=on_loop(serve),
    )


async def serve(config: Config, _paths: Sequence[Path]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: A credential is missing, or is none.
        OSError: The socket cannot be had.
    """
    endpoints = {
        model: Endpoint(config=endpoint, credential=read_credential(endpoint.credential))
        for model, endpoint in config.offload.endpoints.items()
    }
    service = OffloadService(endpoints, gate=Path(config.paths.gate_socket), tls=ssl.create_default_context())
    stop = stop_event()
    with closing(Notifier()) as notifier, listening("offload", Path(config.paths.offload_socket)) as listener:
        async with asyncio.TaskGroup() as group:
            # It is alive when its loop turns: an endpoint that stalls is given up by its own timeout.
            watchdog = group.create_task(feed_watchdog(notifier, lambda: True), name="watchdog")
            group.create_task(service.run(listener, stop), name="offload")
            notifier.ready()
            await stop.wait()
            notifier.stopping()
            watchdog.cancel()
    LOG.info("stopped")


if __name__ == "__main__":
    sys.exit(main())
