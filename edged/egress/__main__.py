"""``edged egress``: the gate's process. Reads settings, takes its socket, serves until SIGTERM."""

import argparse
import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edged import journal
from edged.config.load import load_config
from edged.config.schema import Config
from edged.egress.policy import parse_policy
from edged.egress.proxy import Gate, GateLimits
from edged.errors import EdgedError
from edged.notify import Notifier, feed_watchdog
from edged.sockets import activated, bind_unix

LOG = logging.getLogger(__name__)

DRAIN_S: Final = 5.0
SOCKET_MODE: Final = 0o660


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gate.

    Returns:
        0 after a stop that was asked for, 1 when it could not start.
    """
    parser = argparse.ArgumentParser(
        prog="edged egress", description="The egress gate: the only process with a network."
    )
    parser.add_argument(
        "--config", action="append", type=Path, default=[], help="file or directory; may be given again"
    )
    arguments = parser.parse_args(argv)
    journal.set_up("edged-egress")
    try:
        config = load_config(arguments.config)
        inherited = activated("proxy")
        path = Path(config.paths.gate_socket)
        listener = inherited or bind_unix(path, mode=SOCKET_MODE)
        try:
            asyncio.run(serve(config, listener))
        finally:
            listener.close()
            if inherited is None:
                path.unlink(missing_ok=True)
    except (EdgedError, OSError) as error:
        LOG.error("cannot run: %s", error)  # noqa: TRY400 - the operator needs the sentence, not the traceback
        return 1
    return 0


async def serve(config: Config, listener: socket.socket) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT.

    Raises:
        ConfigError: The lists of destinations are wrong.
    """
    limits = GateLimits(
        connect_timeout_s=config.egress.connect_timeout_s,
        idle_timeout_s=config.egress.idle_timeout_s,
        max_connections=config.egress.max_connections,
    )
    gate = Gate(policy=parse_policy(config.egress), limits=limits)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notifier = Notifier()
    try:
        await _run(gate, listener, stop, notifier)
    finally:
        notifier.close()
    LOG.info("stopped after %d tunnels, %d refused", gate.counters.tunnels, gate.counters.refused)


async def _run(gate: Gate, listener: socket.socket, stop: asyncio.Event, notifier: Notifier) -> None:
    async with asyncio.TaskGroup() as group:
        # The gate is alive when its loop turns: a tunnel that stalls is ended by its own timeout, not by a restart.
        watchdog = group.create_task(feed_watchdog(notifier, lambda: True), name="watchdog")
        group.create_task(gate.run(listener, stop, drain_s=DRAIN_S), name="gate")
        notifier.ready()
        await stop.wait()
        notifier.stopping()
        watchdog.cancel()


if __name__ == "__main__":
    sys.exit(main())
