"""The refresh process from outside: what it says, and how it may end. What it runs here is made up; the process is real."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

import edged
from edged.clock import SystemClock
from edged.config.schema import Config
from edged.update.protocol.messages import Fetching, Finding, Planned, Settled, Task, Trusted
from edged.update.protocol.phases import Phase, Progress
from edged.update.service.child import RefreshProcess
from edged.update.waits.waiting import StopAskedError
from tests.fakes.waits import real_waits

TASK = Task(config=Config(), checked_unix_s={"a" * 64: 1.0})
FOUND = Finding(settled=Settled(timestamp=b"\x00one", due_unix_s=2.0), checked_unix_s={"b" * 64: 3.0})
PRELUDE = """
import os, signal, socket, sys, time
from edged.config.schema import Config
from edged.update.protocol.messages import Fetching, Finding, Planned, Settled, Step, Task, Trusted, decode_task, encode
from edged.update.protocol.phases import Phase, Progress
channel = socket.socket(fileno=os.dup(int(sys.argv[1])))
task = decode_task(channel.makefile("rb").readline())
def say(message): channel.sendall(encode(message))
found = Finding(settled=Settled(timestamp=b"\\x00one", due_unix_s=2.0), checked_unix_s={"b" * 64: 3.0})
"""


class Watch:
    """Asked at once, again and again once it was told something, and says yes from the given time on."""

    def __init__(self, *, after=10**9, ends_at=None):
        self.asked = 0
        self.told = []
        self.after = after
        self.ends_at = ends_at

    def wait_s(self):
        return 0.0 if self.after < 10**9 else 3600.0

    def goes_on(self, milestone):
        self.told.append(milestone)
        return milestone != self.ends_at

    def is_outdated(self):
        self.asked += 1
        return self.asked >= self.after and bool(self.told)


IDLE = Watch()


@pytest.fixture
def waits():
    with real_waits() as made:
        yield made


@pytest.fixture
def refresh(tmp_path, waits):
    def run(body, *, report=lambda *_: None, watch=IDLE, task=TASK, silence_s=60.0):
        program = tmp_path / "program.py"
        program.write_text(PRELUDE + body)
        process = RefreshProcess(waits=waits, clock=SystemClock(), silence_s=silence_s, program=[str(program)])
        return process.run(task, report, watch)

    return run


def children() -> set[str]:
    """Every process that this one started and has not waited for."""
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Every process that was started is gone and has been waited for; those of other tests are not looked at."""
    before = children()
    yield
    assert children() <= before


def test_steps_are_reported_in_order_and_the_finding_ends_it(refresh):
    steps = []
    body = """
say(Step(phase=Phase.POLLING))
say(Step(phase=Phase.DOWNLOADING, progress=Progress(model="demo", version="1.0.0", received_bytes=1, total_bytes=2)))
say(found)
time.sleep(60)
"""

    found = refresh(body, report=lambda *step: steps.append(step))

    assert found == FOUND
    progress = Progress(model="demo", version="1.0.0", received_bytes=1, total_bytes=2)
    assert steps == [(Phase.POLLING, None), (Phase.DOWNLOADING, progress)]


def test_nothing_counts_after_the_finding(refresh):
    steps = []
    body = "channel.sendall(encode(found) + encode(Step(phase=Phase.STAGING)) + b'no message\\n'); time.sleep(60)"

    assert refresh(body, report=lambda *step: steps.append(step)) == FOUND

    assert steps == []


def test_large_task_arrives_whole(refresh):
    """Larger than what a socket holds while nobody reads."""
    checked = {f"{number:064x}": 1.0 for number in range(10_000)}

    found = refresh(
        "say(Finding(checked_unix_s=task.checked_unix_s))", task=Task(config=Config(), checked_unix_s=checked)
    )

    assert found.checked_unix_s == checked


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(7)", "exit code 7"),
        ("raise SystemExit", "exit code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("say(Step(phase=Phase.STAGING)); os.abort()", "signal 6"),
        ("channel.sendall(b'half a line'); sys.exit(3)", "exit code 3"),
        ("channel.sendall(b'no message\\n'); time.sleep(60)", "cannot be run"),
        ("channel.sendall(b'x' * (5 << 20)); time.sleep(60)", "a message of more than"),
    ],
)
def test_process_that_fails_is_a_failure_like_any_other(refresh, body, message):
    """What was checked before is not forgotten."""
    found = refresh(body)

    assert found.failure.code == "internal"
    assert message in found.failure.message
    assert found.failure.hint
    assert not found.failure.is_for_publisher
    assert found.settled is None
    assert found.checked_unix_s == TASK.checked_unix_s


def test_process_that_ends_before_it_reads_its_task(tmp_path, waits):
    (tmp_path / "program.py").write_text("import sys; sys.exit(4)")
    refresh = RefreshProcess(waits=waits, clock=SystemClock(), silence_s=60.0, program=[str(tmp_path / "program.py")])
    large = Task(config=Config(), checked_unix_s={f"{number:064x}": 1.0 for number in range(10_000)})

    assert "exit code 4" in refresh.run(large, lambda *_: None, Watch()).failure.message


def test_process_that_does_not_move_is_ended(refresh):
    found = refresh("time.sleep(60)", silence_s=0.5)

    assert "did not move for 0.5 s" in found.failure.message


def test_process_that_is_outdated_is_ended_and_finds_nothing(refresh):
    watch = Watch(after=3)

    assert refresh("say(Trusted(timestamp=b'one')); time.sleep(60)", watch=watch) is None

    assert watch.told == [Trusted(timestamp=b"one")]


def test_process_that_talks_all_the_time_is_watched_as_well(refresh):
    watch = Watch(after=2)
    body = """
say(Trusted(timestamp=b"one"))
while True:
    say(Step(phase=Phase.DOWNLOADING))
"""

    assert refresh(body, watch=watch) is None


def test_process_is_ended_at_a_milestone_that_is_of_no_use(refresh):
    milestones = [Trusted(timestamp=b"one"), Planned(), Fetching(blob="a" * 64), Fetching(blob="b" * 64)]
    watch = Watch(ends_at=milestones[-1])
    body = """
for message in (Trusted(timestamp=b"one"), Planned(), Fetching(blob="a" * 64), Fetching(blob="b" * 64)):
    say(message)
time.sleep(60)
"""

    assert refresh(body, watch=watch) is None

    assert watch.told == milestones


def test_process_runs_on_while_another_one_runs_beside_it(refresh, tmp_path):
    """Nothing of what it says meanwhile is lost."""
    os.mkfifo(tmp_path / "done")

    class Beside(Watch):
        def is_outdated(self):
            if self.told and not self.asked:
                self.asked += 1
                self.found = refresh("say(Step(phase=Phase.POLLING)); say(found)")
                (tmp_path / "done").write_text("done")
            return False

    watch, steps = Beside(after=0), []
    body = f"""
say(Trusted(timestamp=b"one"))
for phase in (Phase.DOWNLOADING, Phase.STAGING) * 100:
    say(Step(phase=phase))
open({str(tmp_path / "done")!r}).read()
say(found)
"""

    assert refresh(body, watch=watch, report=lambda phase, _: steps.append(phase)) == FOUND

    assert watch.found == FOUND
    assert steps == [Phase.DOWNLOADING, Phase.STAGING] * 100


@pytest.fixture
def beside(refresh, tmp_path):
    """Run a process with another one beside it, which ends once the first has opened ``done``, or closed it by its own end."""
    done = tmp_path / "done"
    os.mkfifo(done)

    class Beside(Watch):
        def is_outdated(self):
            if self.told and not self.asked:
                self.asked += 1
                self.found = refresh(f"open({str(done)!r}).read(); say(found)")
            return False

    def run(body, *, report=lambda *_: None, ends_at=None):
        watch = Beside(after=0, ends_at=ends_at)
        found = refresh(
            f"say(Trusted(timestamp=b'one')); end = open({str(done)!r}, 'w')\n" + body, watch=watch, report=report
        )
        assert watch.found == FOUND
        return found

    return run


def test_process_is_heard_while_another_one_runs_beside_it(beside):
    """However much it says: a socket that nobody reads holds less than 200 steps, and a download would stand still after them."""
    steps = []
    body = """
for phase in (Phase.DOWNLOADING, Phase.STAGING) * 2000:
    say(Step(phase=phase))
end.close()
say(found)
"""

    assert beside(body, report=lambda phase, _: steps.append(phase)) == FOUND

    assert steps == [Phase.DOWNLOADING, Phase.STAGING] * 2000


@pytest.mark.parametrize("then", ["end.close(); time.sleep(60)", "os._exit(0)"])
def test_finding_that_comes_beside_another_process_ends_it_as_any_other(beside, then):
    """Nothing more is waited for."""
    assert beside(f"say(found); {then}") == FOUND


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("channel.sendall(b'no message\\n'); end.close(); time.sleep(60)", "cannot be run"),
    ],
)
def test_process_that_fails_does_not_disturb_the_one_beside_it(beside, body, message):
    assert message in beside(body).failure.message


def test_process_that_comes_to_a_milestone_of_no_use_beside_another_one_is_ended(beside):
    body = "say(Fetching(blob='b' * 64)); end.close(); time.sleep(60)"

    assert beside(body, ends_at=Fetching(blob="b" * 64)) is None


def test_process_that_is_watched_is_still_ended_when_it_does_not_move(refresh):
    found = refresh("say(Trusted(timestamp=b'one')); time.sleep(60)", watch=Watch(after=10**8), silence_s=0.5)

    assert "did not move for 0.5 s" in found.failure.message


def test_stop_ends_the_process(refresh):
    def stop(*_):
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StopAskedError):
        refresh("say(Step(phase=Phase.POLLING)); time.sleep(60)", report=stop)


def test_signals_meant_for_the_updater_do_not_reach_it(refresh):
    """Systemd sends them to every process of the unit, whatever that process is just doing."""
    body = """
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
    os.kill(os.getpid(), number)
say(found)
"""

    assert refresh(body) == FOUND


def test_process_gets_nothing_of_the_updater_but_its_surroundings(refresh, monkeypatch):
    """No descriptor besides the standard ones and the channel, and no part in the talk with systemd."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    monkeypatch.setenv("SSL_CERT_FILE", "/some/file")
    body = """
channel.close()
opened = [number for number in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{number}")]
channel = socket.socket(fileno=os.dup(3))
own = [name for name in os.environ if name.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_"))]
kept = [os.environ.get(name) for name in ("JOURNAL_STREAM", "SSL_CERT_FILE")]
import edged
text = f"{sorted(opened)} {own} {kept} {edged.__file__}"
say(Step(phase=Phase.POLLING, progress=Progress(model=text, version="", received_bytes=0, total_bytes=0)))
say(found)
"""
    said = []
    # What runs the tests may leave some open for whatever it starts.
    opened = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    inherited = {number for number in opened if is_inheritable(number)}

    refresh(body, report=lambda _, progress: said.append(progress.model))

    expected = sorted({0, 1, 2, 3} | inherited)
    assert said == [f"{expected} [] ['1:2', '/some/file'] {edged.__file__}"]


def test_process_gets_the_connection_of_who_brings_updates(tmp_path, waits):
    """Under a number of its own, and nobody else loses it."""
    program = tmp_path / "program.py"
    program.write_text(PRELUDE + "socket.socket(fileno=int(sys.argv[2])).send(b'wanted'); say(found)")
    process = RefreshProcess(waits=waits, clock=SystemClock(), silence_s=60.0, program=[str(program)])
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        assert process.run(TASK, lambda *_: None, Watch(), theirs) == FOUND

        assert ours.recv(100) == b"wanted"
        theirs.send(b"still open")
        assert ours.recv(100) == b"still open"


def is_inheritable(number):
    try:
        return os.get_inheritable(number)
    except OSError:  # nothing has this number
        return False


def test_interpreter_that_cannot_be_started_is_a_failure(refresh, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python3")

    assert "cannot be run" in refresh("").failure.message
