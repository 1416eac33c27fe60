"""``edged presence``: says whether somebody uses this device, until SIGTERM. Off unless an administrator enables edged-presence.service.

A process of its own, because whoever may speak on the system bus may ask every service on it for what any user may: names of hosts of
systemd-resolved, say, which is a way to the network. This one handles nothing that comes from outside of the device, and the daemon, which
does, has no bus.

It looks every ``LOOK_EVERY_S``, and at once, but not more often than once in ``GAP_S``, when logind says that something has changed. What
it says is withdrawn when it stops.
"""

import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from edged.clock import Clock, SystemClock
from edged.config.schema import Config
from edged.notify import Notifier
from edged.presence.logind import Logind
from edged.presence.report import LOOK_EVERY_S, PresenceReport, write_report
from edged.presence.sessions import idle_s
from edged.presence.stopping import StopSignals
from edged.process import run_service

LOG = logging.getLogger(__name__)

GAP_S: Final = 1.0
NOBODY: Final = "nobody is logged in at a screen or keyboard of this device"


class Lookout:
    """Looks at logind's sessions, and says what came of it.

    Args:
        logind: Where they are asked for.
        path: Of the report.
        clock: Dates the report.
        wait: Waits for so many seconds, or until a socket can be read from.
    """

    def __init__(
        self, logind: Logind, path: Path, clock: Clock, *, wait: Callable[[float, socket.socket | None], None]
    ) -> None:
        self._logind = logind
        self._path = path
        self._clock = clock
        self._wait = wait
        self._said = ""
        """The trouble that was logged last."""

    def look(self) -> None:
        """Look once, and write what there is to say.

        Raises:
            OSError: The report cannot be written.
        """
        found, reason = None, NOBODY
        try:
            found = idle_s(self._logind.sessions(), now_s=self._clock.monotonic_s())
        except OSError as exc:
            reason = f"logind cannot be asked: {exc}"
            if reason != self._said:
                LOG.warning("Whether somebody uses the device is not known: %s", reason)
        self._said = "" if reason == NOBODY else reason
        write_report(
            self._path,
            PresenceReport(looked_s=self._clock.monotonic_s(), idle_s=found, reason=reason if found is None else ""),
        )

    def wait(self) -> None:
        """Wait until it is time for the next look."""
        has_news = self._has_news()
        if not has_news:
            self._wait(LOOK_EVERY_S, self._logind.bus_socket)
            has_news = self._has_news()
        if has_news:
            self._wait(GAP_S, None)

    def _has_news(self) -> bool:
        try:
            return self._logind.has_news()
        except OSError as exc:  # the next look says what it is
            LOG.debug("logind says nothing any more: %s", exc)
            return False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the lookout; returns the exit code."""
    return run_service(
        argv,
        verb="presence",
        identifier="edged-presence",
        description="Says whether somebody uses this device.",
        serve=serve,
    )


def serve(config: Config, _paths: Sequence[Path]) -> None:
    """Look until SIGTERM or SIGINT.

    Raises:
        OSError: The report cannot be written.
    """
    path = Path(config.paths.presence)
    with ExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier()))
        stack.callback(path.unlink, missing_ok=True)
        signals = stack.enter_context(StopSignals())
        lookout = Lookout(stack.enter_context(Logind()), path, SystemClock(), wait=signals.wait)
        lookout.look()
        notifier.ready()
        lookout.wait()
        while not signals.are_asked:
            lookout.look()
            notifier.watchdog()
            lookout.wait()
        notifier.stopping()


if __name__ == "__main__":
    sys.exit(main())
