"""A developer's processes end together, whichever of them ends first and however the end is asked for."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from threading import Timer

import pytest

from tests.fakes.patience import PATIENCE_S

# Says when it runs and when it is told to end, in one write each: others write to the same pipe.
CHILD = """\
import os, signal, sys

def say(word):
    os.write(1, word.encode() + b"\\n")

signal.signal(signal.SIGTERM, lambda *_: sys.exit(say(sys.argv[1])))
say("up")
exec(sys.argv[2])
"""
MAIN = """\
import os, signal, sys
from edged.dev.supervision import supervise

child, then = sys.argv[1:]
commands = {
    "first": [sys.executable, "-c", child, "first", "signal.pause()"],
    "second": [sys.executable, "-c", child, "second", then],
}
seen = []
code = supervise(commands, environ=os.environ, started=lambda _: seen.append(signal.getsignal(signal.SIGHUP)))
print("without its terminal it", "goes on" if seen == [signal.SIG_IGN] else "ends", flush=True)
sys.exit(code)
"""


@contextmanager
def supervised(then="signal.pause()", *, before=()):
    command = [*before, sys.executable, "-c", MAIN, CHILD, then]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        too_late = Timer(PATIENCE_S, process.terminate)
        too_late.start()
        try:
            yield process
        finally:
            too_late.cancel()
            process.terminate()


def read_lines(process, count):
    return [process.stdout.readline().strip() for _ in range(count)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_processes_end_in_the_reverse_order_of_their_start(number):
    with supervised() as process:
        assert read_lines(process, 2) == ["up", "up"]

        process.send_signal(number)

        assert read_lines(process, 3) == ["second", "first", "without its terminal it ends"]
        assert process.wait(30) == 0


def test_where_one_ends_by_itself_the_others_are_ended_and_it_is_named():
    with supervised("sys.exit(7)") as process:
        # Its output ends when nobody is left who could write to it.
        _, complained = process.communicate(timeout=30)

    assert complained == "edged second ended with 7; stopping the others\n"
    assert process.returncode == 1


def test_nohup_keeps_them_running_without_their_terminal():
    with supervised(before=["nohup"]) as process:
        assert read_lines(process, 2) == ["up", "up"]

        process.terminate()

        assert read_lines(process, 3)[-1] == "without its terminal it goes on"
