"""What a process tells systemd about itself (``sd_notify(3)``); silent when systemd did not start it."""

import os
import time
from collections.abc import Mapping
from typing import Any

import sdnotify


class Notifier:
    """The connection to systemd's notification socket.

    Args:
        environ: Where WATCHDOG_USEC and WATCHDOG_PID are read from. NOTIFY_SOCKET itself is read from the process's environment.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        # The library opens a socket before it looks for the address, and leaves it open without one.
        self._systemd: Any = sdnotify.SystemdNotifier() if "NOTIFY_SOCKET" in os.environ else None
        self.watchdog_interval_s = _watchdog_interval_s(environ)
        """Longest time between two pings, half of what systemd allows; None when nobody waits for any."""

    def ready(self) -> None:
        """Say that start-up, or a reload, is complete."""
        self._send("READY=1")

    def extend_start(self, seconds: float) -> None:
        """Ask for more time to start, counted from now; repeated while start-up makes progress (EXTEND_TIMEOUT_USEC)."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def stopping(self) -> None:
        """Say that the process drains and will exit."""
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """Say that a reload began; ``Type=notify-reload`` wants the monotonic time with it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows; ASCII, one line."""
        self._send(f"STATUS={text}")

    def watchdog(self) -> None:
        """Say that work goes on."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Close the connection; later calls say nothing."""
        if self._systemd is not None and self._systemd.socket is not None:
            self._systemd.socket.close()
        self._systemd = None

    def _send(self, message: str) -> None:
        if self._systemd is not None:
            self._systemd.notify(message)


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    return microseconds / 2_000_000 if microseconds else None
