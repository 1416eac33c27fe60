"""What a process says when this machine lacks a part of its confinement, and the limits that never lack.

Each case is a process of its own, since what it does to itself cannot be undone. What is missing is taken away for real: a filter on
system calls answers as another kernel would, and modules that cannot be imported lie where the bindings would be.
"""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edged.worker import seccomp

TOP = Path(__file__).resolve().parents[3]
# Arguments: a system call, its error, and what to do then.
WITHOUT_A_CALL = """
import sys
from edged.worker import confine
from edged.worker.seccomp import LIBRARY
ruleset = LIBRARY.SyscallFilter(LIBRARY.ALLOW)
ruleset.add_rule(LIBRARY.ERRNO(int(sys.argv[2])), sys.argv[1])
ruleset.load()
print(getattr(confine, sys.argv[3])())
"""
FILTERED = "from edged.worker.confine import filter_calls; print(filter_calls())"
# Prints which of nine descriptors were meant to be kept, and which are open in the end.
CLOSING = """
import os
from edged.worker.confine import close_all_but
opened = [os.open("/", os.O_RDONLY) for _ in range(9)]
kept = opened[{kept}]
close_all_but({{0, 1, 2, *kept}})
def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
print(kept, list(filter(is_open, opened)), sep="/")
"""
LIMITED = """
import os
from edged.worker.confine import limit_worker
limit_worker(memory_bytes=1 << 30, parent=os.getppid() + {offset}, name="a-name-that-is-too-long")
print(open("/proc/self/comm").read(), end="")
"""
needs_seccomp = pytest.mark.skipif(seccomp.LIBRARY is None, reason="needs Python's bindings of libseccomp")


def run(program, *arguments, path=()):
    """Run a program; return its completed process. ``path`` goes before everything in which modules are searched."""
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *map(str, arguments)],
        env={"PYTHONPATH": os.pathsep.join(map(str, [*path, TOP]))},
        capture_output=True,
        text=True,
        check=False,
    )


def said(program, *arguments, path=()):
    """Run a program that succeeds; return what it printed."""
    process = run(program, *arguments, path=path)
    assert process.returncode == 0, process.stderr
    return process.stdout.removesuffix("\n")


@needs_seccomp
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.ENOSYS, "no Landlock: the kernel is built without it (CONFIG_SECURITY_LANDLOCK)"),
        (errno.EOPNOTSUPP, "no Landlock: the kernel has it but it is off; name it in the kernel's parameter lsm="),
        (errno.EPERM, "no Landlock: a filter on system calls around this process forbids it"),
        (errno.EIO, f"no Landlock: {os.strerror(errno.EIO)}"),
    ],
    ids=errno.errorcode.get,
)
def test_missing_landlock_is_explained(error, reason):
    """Why, and where there is something to do about it, what."""
    assert said(WITHOUT_A_CALL, "landlock_create_ruleset", error, "forbid_files") == reason


@needs_seccomp
def test_too_many_rulesets_are_explained():
    """The kernel allows 16 on top of each other."""
    reason = said(WITHOUT_A_CALL, "landlock_restrict_self", errno.E2BIG, "forbid_files")
    assert reason == "no Landlock: 16 of its rulesets are in force around this process already"


@needs_seccomp
@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM], ids=errno.errorcode.get)
def test_refused_filter_is_explained(error):
    reason = said(WITHOUT_A_CALL, "seccomp", error, "filter_calls")
    assert reason.startswith("no filter on system calls: the kernel or a filter around this process refused it (")


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError", "OSError"])
def test_missing_bindings_are_explained(tmp_path, error):
    """Not installed; installed, but libseccomp is not; installed for another architecture."""
    for name in ("seccomp", "pyseccomp"):
        (tmp_path / f"{name}.py").write_text(f"raise {error}('missing')\n")

    reason = said(FILTERED, path=[tmp_path])

    assert (
        reason
        == "no filter on system calls: Python's bindings of libseccomp are not installed (Debian: python3-seccomp)"
    )


@needs_seccomp
def test_a_filter_in_force_is_no_reason():
    assert said(FILTERED) == "None"


@pytest.mark.parametrize("kept", ["0:0", "0:1", "3:5", "::2", "8:", "0:9"])
def test_what_is_not_kept_is_closed(kept):
    """At the beginning, between and at the end."""
    meant, found = said(CLOSING.format(kept=kept)).split("/")
    assert meant == found


def test_a_worker_has_a_name_of_15_bytes():
    assert said(LIMITED.format(offset=0)) == "a-name-that-is-"


def test_a_worker_whose_parent_is_gone_does_not_begin():
    """The parent ended before the kernel was asked to tell of it."""
    process = run(LIMITED.format(offset=1))
    assert process.returncode
    assert "ProcessLookupError" in process.stderr
