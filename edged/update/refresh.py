"""The refresh process: ``python -m edged.update.refresh FD``. Brings the store up to date once, says what it found, and ends.

It takes one task over the inherited stream socket ``FD`` (``edged.update.messages``), reports its steps there and, at last, its finding.
It never outlives the updater, whose end closes that socket; and it may be killed at any moment.
"""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NoReturn

import edged
from edged import journal
from edged.clock import Clock, SystemClock
from edged.errors import BundleError, EdgedError
from edged.select.machine import read_machine
from edged.select.matcher import usable_variants
from edged.store.layout import StoreLayout
from edged.update.client import Client, Summary
from edged.update.fetcher import Host
from edged.update.messages import (
    Failure,
    Finding,
    Settled,
    Step,
    Task,
    decode_task,
    encode,
    failure_of,
)
from edged.update.now import Now
from edged.update.phases import Phase, Progress, Report

LOG = logging.getLogger(__name__)

SAY_EVERY_S: Final = 0.5


class Teller:
    """Tells the updater what is going on: each new phase at once, and twice a second that there is progress.

    Args:
        channel: To the updater.
        clock: Monotonic.
    """

    def __init__(self, channel: socket.socket, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._step = Step(phase=Phase.POLLING)
        self._told_s: float | None = None

    def report(self, phase: Phase, progress: Progress | None = None) -> None:
        """Take note of what is done now."""
        is_new = phase is not self._step.phase
        self._step = Step(phase=phase, progress=progress)
        self._tell(at_once=is_new)

    def go_on(self) -> None:
        """Take note that it is still being done."""
        self._tell(at_once=False)

    def _tell(self, *, at_once: bool) -> None:
        now_s = self._clock.monotonic_s()
        if at_once or self._told_s is None or now_s - self._told_s >= SAY_EVERY_S:
            self._told_s = now_s
            try:
                self._channel.sendall(encode(self._step))
            except ConnectionError:
                _leave()


def main(arguments: Sequence[str]) -> None:
    """Do what the updater asks for."""
    journal.set_up("edged-update")
    # A copy: the descriptor itself stays open until the process is really gone, and the updater sees its end no earlier.
    with socket.socket(fileno=os.dup(int(arguments[0]))) as channel:
        with channel.makefile("rb") as lines:
            task = decode_task(lines.readline())
        threading.Thread(target=_watch, args=(channel,), daemon=True).start()
        clock = SystemClock()
        teller = Teller(channel, clock)
        channel.sendall(encode(find(task, clock, teller.report, on_answer=teller.go_on)))


def find(task: Task, clock: Clock, report: Report, *, on_answer: Callable[[], None]) -> Finding:
    """Bring the store up to date and describe how that went.

    Args:
        task: What to do.
        clock: The system's.
        report: Told each step.
        on_answer: Called whenever something came from the host.
    """
    gate, timeout_s = Path(task.config.paths.gate_socket), task.config.update.timeout_s
    with closing(Host(gate=gate, timeout_s=timeout_s, clock=clock, on_answer=on_answer)) as host:
        client = _make_client(task, host, clock)
        try:
            client.prepare()
            return _describe(client.refresh(report), client)
        except EdgedError as error:
            failure = failure_of(error)
        except Exception as error:
            # Whatever this is, it is recorded and tried again.
            LOG.exception("refresh failed in an unforeseen way")
            failure = failure_of(EdgedError(f"unforeseen: {error!r}"))
        return Finding(failure=failure, checked_unix_s=client.checked_unix_s)


def _make_client(task: Task, host: Host, clock: Clock) -> Client:
    config = task.config
    layout = StoreLayout(Path(config.paths.store))
    machine = read_machine()
    return Client(
        url=config.repository.url,
        root=Path(config.repository.root),
        layout=layout,
        host=host,
        usable=lambda manifest: usable_variants(manifest, machine),
        disk_reserve_bytes=config.update.disk_reserve_bytes,
        now_unix_s=Now(clock=clock, package=Path(edged.__file__), layout=layout).unix_s,
        checked_unix_s=task.checked_unix_s,
    )


def _describe(summary: Summary, client: Client) -> Finding:
    failure = choose_failure(summary)
    # What is wrong with signed content stays wrong until something else is signed.
    is_settled = failure is None or failure.is_for_publisher
    return Finding(
        failure=failure,
        settled=Settled(timestamp=summary.timestamp, due_unix_s=summary.due_unix_s) if is_settled else None,
        checked_unix_s=client.checked_unix_s,
    )


def choose_failure(summary: Summary) -> Failure | None:
    """Choose the failure that is told: the first that this device or the network may mend, else the first."""
    if not summary.failures:
        return None
    mendable = [failure for failure in summary.failures if not isinstance(failure.error, BundleError)]
    chosen = (mendable or summary.failures)[0]
    return failure_of(chosen.error, subject=f"{chosen.model} {chosen.version}", is_for_publisher=not mendable)


def _watch(channel: socket.socket) -> None:
    """End this process when the updater is gone or wants no answer any more; it sends nothing after its task."""
    with suppress(OSError):
        channel.recv(1)
    _leave()


def _leave() -> NoReturn:
    # At once, in the middle of whatever the other thread does: nobody waits for it, and the disk is as after a power cut at worst.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
