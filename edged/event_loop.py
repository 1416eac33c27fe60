"""What the services that run on an event loop do alike; ``edged.process`` has what all services do, and imports no loop."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from edged.config.schema import Config
from edged.notify import Notifier
from edged.process import Serve


def on_loop(serve: Callable[[Config, Sequence[Path]], Coroutine[Any, Any, None]]) -> Serve:
    """Return a service that runs on a loop of its own."""

    def run(config: Config, paths: Sequence[Path]) -> None:
        asyncio.run(serve(config, paths))

    return run


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def feed_watchdog(notifier: Notifier, is_alive: Callable[[], bool]) -> None:
    """Ping the watchdog for as long as ``is_alive`` says that work makes progress; runs until cancelled.

    Args:
        notifier: Where the pings go.
        is_alive: Asked once an interval. A false answer withholds one ping; systemd acts after two.
    """
    if notifier.watchdog_interval_s is None:
        return
    while True:
        if is_alive():
            notifier.watchdog()
        await asyncio.sleep(notifier.watchdog_interval_s)
