"""What a worker can still do once it has confined itself: its work, and nothing else.

The same attempts are made three times: unconfined, where every one of them must work (or the others would prove nothing), with files
forbidden, and with the filter on system calls as well.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from edged.worker import landlock, seccomp
from tests.fakes import models
from tests.fakes.attempts import ATTEMPTS, CALLS
from tests.fakes.patience import PATIENCE_S

TOP = Path(__file__).resolve().parents[2]
MODELS = {"add": models.add_model, "loop": models.loop_model, "zeros": models.allocating_model}
# What Landlock forbids, from which version of its interface on, and how it says so (landlock(7)).
FORBIDDEN = {
    "list a directory": (1, "EACCES"),
    "make a directory": (1, "EACCES"),
    "make a file": (1, "EACCES"),
    "make a link": (1, "EACCES"),
    "make a socket with a name": (1, "EACCES"),
    "make an unnamed file": (1, "EACCES"),
    "read a file": (1, "EACCES"),
    "read its own memory": (1, "EACCES"),
    "remove a file": (1, "EACCES"),
    "rename a file": (1, "EACCES"),
    "reopen what it holds": (1, "EACCES"),
    "start a program": (1, "EACCES"),
    "write a file": (1, "EACCES"),
    "connect to TCP": (4, "EACCES"),
    "connect to an abstract socket": (6, "EPERM"),
    "signal its parent": (6, "EPERM"),
}


def abi():
    """Return the version of this kernel's Landlock, 0 where there is none."""
    try:
        return landlock.read_abi()
    except OSError:
        return 0


needs_landlock = pytest.mark.skipif(not abi(), reason="needs a kernel with Landlock")
needs_seccomp = pytest.mark.skipif(seccomp.LIBRARY is None, reason="needs Python's bindings of libseccomp")


def resident_bytes(pid):
    """Return how much memory a process has in use (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_for_state(pid, state):
    """Return once a process sleeps ("S") or is stopped ("T") (proc_pid_stat(5))."""
    deadline_s = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != state:
        assert time.monotonic() < deadline_s, f"not in state {state}"


class Process:
    """A running ``tests.fakes.confined``."""

    def __init__(self, channel, process):
        self._channel = channel
        self._process = process
        self.missing = json.loads(self._channel.recv(1 << 16))

    def ask(self, command, *descriptors, **arguments):
        socket.send_fds(self._channel, [json.dumps([command, arguments]).encode()], descriptors)
        return json.loads(self._channel.recv(1 << 16))

    def end(self, command):
        """Have it end; return its exit code, or minus the signal."""
        self._channel.send(json.dumps([command, {}]).encode())
        code = self._process.wait(PATIENCE_S)
        return code if code <= 128 else 128 - code


@contextmanager
def running(directory, confinement, threads=1):
    for name, model in MODELS.items():
        (directory / f"{name}.onnx").write_bytes(model())
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with (
        ours,
        closing(socket.socket(socket.AF_UNIX)) as listener,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        listener.bind("")  # the kernel finds a name
        listener.listen(100)
        ours.settimeout(PATIENCE_S)
        abstract = listener.getsockname()[1:].decode()
        arguments = [theirs.fileno(), confinement, threads, directory, abstract, server.getsockname()[1]]
        with (
            theirs,
            subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.fakes.confined", *map(str, arguments)],
                pass_fds=[theirs.fileno()],
                # As for the template: it has to have one thread when it forks.
                env={"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"},
            ) as process,
        ):
            theirs.close()
            try:
                yield Process(ours, process)
            finally:
                ours.close()


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    with running(tmp_path_factory.mktemp("free"), "none") as process:
        yield process


@pytest.fixture(scope="module")
def fileless(tmp_path_factory):
    with running(tmp_path_factory.mktemp("fileless"), "files") as process:
        assert process.missing == [None]
        yield process


@pytest.fixture(scope="module", params=[1, 2], ids="sessions with {} threads".format)
def confined(request, tmp_path_factory):
    """A process with everything in force, without and with threads of the runtime's own."""
    with running(tmp_path_factory.mktemp("confined"), "whole", request.param) as process:
        assert process.missing[-1] is None
        yield process


@pytest.mark.parametrize("name", ATTEMPTS)
def test_everything_works_unconfined(free, name):
    """What is refused below is refused by the confinement."""
    assert free.ask("attempt", name=name) == "allowed"


@needs_landlock
@pytest.mark.parametrize("name", FORBIDDEN)
def test_files_and_others_are_out_of_reach_while_the_model_is_loaded(fileless, name):
    since, error = FORBIDDEN[name]
    if abi() < since:
        pytest.skip(f"needs version {since} of Landlock's interface")
    assert fileless.ask("attempt", name=name) == error


@needs_landlock
def test_threads_started_later_have_no_files_either(fileless):
    assert fileless.ask("attempt_in_new_thread", name="read a file") == "EACCES"


@needs_landlock
def test_a_model_loads_without_files(fileless):
    """Its sessions were made when nothing could be opened any more."""
    assert fileless.ask("stop_a_run").count("terminate") == 1


@needs_seccomp
@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_works_confined(confined, name):
    assert confined.ask("attempt", name=name) == "EPERM"


@needs_seccomp
@pytest.mark.parametrize("name", ATTEMPTS)
def test_threads_that_ran_before_are_confined_too(confined, name):
    assert confined.ask("attempt", name=name, elsewhere=True) == "EPERM"


@needs_seccomp
@pytest.mark.parametrize("name", CALLS)
def test_no_dangerous_call_reaches_the_kernel(confined, name):
    assert confined.ask("call", name=name) == "EPERM"


@needs_seccomp
def test_a_passed_descriptor_is_mapped_and_worked_on(confined):
    """A segment comes over the channel, the model reads it, and its answer goes into it."""
    descriptor = os.memfd_create("segment")
    with closing(os.fdopen(descriptor, "r+b")) as segment:
        segment.write(np.arange(80_000, dtype=np.float32).tobytes())
        segment.flush()

        assert confined.ask("map", descriptor) == 80_000

        segment.seek(0)
        assert np.frombuffer(segment.read(), np.float32).tolist() == list(range(1, 80_001))


@needs_seccomp
def test_a_passed_connection_is_served(confined):
    """Its own end, after the process has shut it down, says so."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(b"abc")

        assert confined.ask("serve", theirs.fileno()) == "abc"

        assert [ours.recv(100), ours.recv(100)] == [b"cba", b""]


@needs_seccomp
def test_memory_can_be_had_and_returns_to_the_system(confined):
    size = 100 << 20
    pid = confined.ask("pid")
    before = resident_bytes(pid)

    assert confined.ask("allocate", size=size) == 2 * size

    assert resident_bytes(pid) < before + size // 2


@needs_seccomp
def test_memory_beyond_the_limit_is_an_error_and_no_end(confined):
    assert confined.ask("outgrow") in {"Fail", "RuntimeException", "RuntimeError", "MemoryError"}


@needs_seccomp
def test_a_run_can_be_stopped(confined):
    assert "terminate" in confined.ask("stop_a_run")


@needs_seccomp
def test_a_wait_goes_on_after_a_stop(confined):
    """The kernel resumes a wait that has a timeout by another system call (restart_syscall(2))."""
    pid = confined.ask("pid")
    wait_for_state(pid, "S")
    os.kill(pid, signal.SIGSTOP)
    wait_for_state(pid, "T")
    os.kill(pid, signal.SIGCONT)

    assert confined.ask("pid") == pid


@needs_seccomp
def test_a_failure_can_be_explained(confined):
    """The source is out of reach; the words are not."""
    said = confined.ask("explain")
    assert "in explain" in said
    assert said.endswith("'for the journal'\n")


@needs_seccomp
@pytest.mark.parametrize(("command", "code"), [("end", 0), ("abort", -signal.SIGABRT)])
def test_it_ends_as_it_means_to(tmp_path, command, code):
    """Threads and process end in order, and an abort is told apart from another crash."""
    with running(tmp_path, "whole", 2) as process:
        assert process.end(command) == code
