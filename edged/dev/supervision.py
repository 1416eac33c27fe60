"""Start a developer's processes, wait, and stop all of them in order, whatever ends first."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Final

STOP_WITHIN_S: Final = 10.0
LOOK_EVERY_S: Final = 0.2

Running = Mapping[str, "subprocess.Popen[bytes]"]
"""Processes by verb, in the order in which they were started."""


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Have what ends ``supervise`` raise ``KeyboardInterrupt`` while it does not run yet: what was begun is to be ended, too."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_put_off() -> Iterator[None]:
    """Have what would end this process wait until this is left: for what must not be left half begun."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def supervise(
    commands: Mapping[str, Sequence[str]],
    *,
    environ: Mapping[str, str],
    started: Callable[[Running], None],
    look: Callable[[], None] | None = None,
) -> int:
    """Run commands until SIGINT, SIGTERM or SIGHUP, or until one of them ends.

    Args:
        commands: By verb, in the order in which they start; they stop in the reverse order.
        environ: Of all of them.
        started: Told when all of them run.
        look: Called again and again while they do; nothing else is noticed until it returns.

    Returns:
        0 when it was told to stop, 1 when one of the processes ended by itself.
    """
    stop = Event()
    _listen(stop)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        # One by one, not in a comprehension: what was started before a failure has to be stopped.
        for verb, command in commands.items():
            running[verb] = _start(command, environ)
        started(running)
        while not stop.wait(LOOK_EVERY_S):
            for verb, process in running.items():
                if process.poll() is not None:
                    print(f"edged {verb} ended with {process.returncode}; stopping the others", file=sys.stderr)
                    return 1
            if look is not None:
                look()
        return 0
    finally:
        for verb, process in reversed(running.items()):
            _stop(verb, process)


def _listen(stop: Event) -> None:
    for number in _heeded():
        signal.signal(number, lambda *_: stop.set())


def _heeded() -> Iterator[signal.Signals]:
    """Give the signals that end this; nohup(1) has SIGHUP ignored, and means it."""
    yield signal.SIGINT
    yield signal.SIGTERM
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP


def _start(command: Sequence[str], environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    # A group of its own: Ctrl-C in the terminal reaches this process alone, which then stops the others in order.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environ, process_group=0)  # noqa: S603 - our own command


def _stop(verb: str, process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        print(f"edged {verb} did not stop within {STOP_WITHIN_S:g} s and was killed", file=sys.stderr)
        process.kill()
        process.wait()
