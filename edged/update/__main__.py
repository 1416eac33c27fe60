"""``edged update``: the updater's process. Reads settings, keeps the store up to date until SIGTERM.

It polls at once on SIGUSR1 and when somebody asks on its control socket. It is there for ever and nearly always idle, so it is kept
small: it has one thread, asks the host whether anything has changed, and starts another process (``edged.update.refresh``) for everything
else. It never loads python-tuf or cryptography.
"""

import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import edged
from edged.clock import Clock, SystemClock
from edged.config.schema import Config
from edged.notify import Notifier
from edged.process import listening, run_service
from edged.store.layout import StoreLayout
from edged.update.freshness.now import Now
from edged.update.freshness.standing_file import StandingFile
from edged.update.lookout.lookout import Lookout, read_kept_timestamp
from edged.update.lookout.question import Question
from edged.update.service.child import RefreshProcess
from edged.update.service.control import Control
from edged.update.service.poller import Poller
from edged.update.service.service import Service
from edged.update.waits.waiting import StopAskedError, Waiting, Waits

SILENCE_S: Final = 300.0
"""How long a disk may take for one step of a refresh."""
SILENT_TIMEOUTS: Final = 4
"""How many timeouts of the host may follow each other without a word: the gate, TLS, the head of an answer, a body."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the updater; returns the exit code."""
    return run_service(
        argv,
        verb="update",
        identifier="edged-update",
        description="Fetches, verifies and stages bundles.",
        serve=serve,
    )


def serve(config: Config, _paths: Sequence[Path]) -> None:
    """Keep the store up to date until SIGTERM or SIGINT.

    Raises:
        OSError: The control socket cannot be had.
    """
    clock = SystemClock()
    with ExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier()))
        listener = stack.enter_context(
            listening("control", Path(config.paths.update_control), kind=socket.SOCK_SEQPACKET)
        )
        control = stack.enter_context(closing(Control(listener, clock=clock)))
        waits = stack.enter_context(Waiting(notifier=notifier, clock=clock, door=control))
        layout = StoreLayout(Path(config.paths.store))
        now = Now(clock=clock, package=Path(edged.__file__), layout=layout)
        service = Service(
            poller=_make_poller(config, clock, waits, stack, now),
            control=control,
            repository=config.repository.url,
            config=config.update,
            status_path=Path(config.paths.update_status),
            clock=clock,
            time_source=lambda: now.read().source,
            waits=waits,
        )
        service.announce()
        notifier.ready()
        with suppress(StopAskedError):
            service.run()
        notifier.stopping()


def _make_poller(config: Config, clock: Clock, waits: Waits, stack: ExitStack, now: Now) -> Poller:
    question = None
    if config.repository.url:
        question = Question(
            url=config.repository.url,
            gate=Path(config.paths.gate_socket),
            timeout_s=config.update.timeout_s,
            waits=waits,
            clock=clock,
        )
        stack.enter_context(closing(question))
    silence_s = max(SILENCE_S, SILENT_TIMEOUTS * config.update.timeout_s)
    standing = StandingFile(now.layout.standing)
    return Poller(
        config=config,
        lookout=Lookout(
            question=question,
            poll_interval_s=config.repository.poll_interval_s,
            monotonic_s=clock.monotonic_s,
            trusted=read_kept_timestamp(now.layout),
        ),
        refresh=RefreshProcess(waits=waits, clock=clock, silence_s=silence_s).run,
        now_unix_s=now.unix_s,
        saw_fresh=standing.saw_fresh,
    )


if __name__ == "__main__":
    sys.exit(main())
