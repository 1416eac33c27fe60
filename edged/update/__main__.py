"""``edged update``: the updater's process. Reads settings, keeps the store up to date until SIGTERM; SIGUSR1 polls at once.

It is there for ever and nearly always idle, so it is kept small: it has one thread, asks the host whether anything has changed, and starts
another process (``edged.update.refresh``) for everything else. It never loads python-tuf or cryptography.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import edged
from edged.clock import Clock, SystemClock
from edged.config.schema import Config
from edged.notify import Notifier
from edged.process import run_service
from edged.store.layout import StoreLayout
from edged.update.child import RefreshProcess
from edged.update.now import Now
from edged.update.poller import Poller
from edged.update.question import Question
from edged.update.service import Service
from edged.update.waiting import StopAskedError, Waiting, Waits

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
    """Keep the store up to date until SIGTERM or SIGINT."""
    clock = SystemClock()
    with ExitStack() as stack:
        notifier = stack.enter_context(closing(Notifier()))
        waits = stack.enter_context(Waiting(notifier=notifier, clock=clock))
        service = Service(
            poller=_make_poller(config, clock, waits, stack) if config.repository.url else None,
            repository=config.repository.url,
            config=config.update,
            poll_interval_s=config.repository.poll_interval_s,
            status_path=Path(config.paths.update_status),
            clock=clock,
            waits=waits,
        )
        service.announce()
        notifier.ready()
        with suppress(StopAskedError):
            service.run()
        notifier.stopping()


def _make_poller(config: Config, clock: Clock, waits: Waits, stack: ExitStack) -> Poller:
    question = Question(
        url=config.repository.url,
        gate=Path(config.paths.gate_socket),
        timeout_s=config.update.timeout_s,
        waits=waits,
        clock=clock,
    )
    stack.enter_context(closing(question))
    silence_s = max(SILENCE_S, SILENT_TIMEOUTS * config.update.timeout_s)
    layout = StoreLayout(Path(config.paths.store))
    return Poller(
        config=config,
        question=question,
        refresh=RefreshProcess(waits=waits, clock=clock, silence_s=silence_s).run,
        now_unix_s=Now(clock=clock, package=Path(edged.__file__), layout=layout).unix_s,
    )


if __name__ == "__main__":
    sys.exit(main())
