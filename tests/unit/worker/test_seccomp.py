"""The filter as the kernel sees it: its program, run here on calls of both architectures."""

import errno
import mmap
import struct
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.worker import seccomp

pytestmark = pytest.mark.skipif(seccomp.LIBRARY is None, reason="needs Python's bindings of libseccomp")

PID = 4711
ALLOW, KILL_THREAD, REFUSE = 0x7FFF0000, 0, 0x00050000 | errno.EPERM  # linux/seccomp.h
AUDIT_ARCH = {"X86_64": 0xC000003E, "AARCH64": 0xC00000B7, "X86": 0x40000003}  # linux/audit.h
X32_BIT = 0x40000000
ARCHITECTURES = ("X86_64", "AARCH64")
# Old calls for which newer architectures have only the newer one.
NOT_ON_ARM = {"epoll_wait", "poll", "select", "time"}


def program(architecture):
    """Return the filter for an architecture, whatever this machine is."""
    library = seccomp.LIBRARY
    ruleset = library.SyscallFilter(library.ERRNO(errno.EPERM))
    wanted = getattr(library.Arch, architecture)
    if not ruleset.exist_arch(wanted):
        ruleset.add_arch(wanted)
        ruleset.remove_arch(library.Arch.NATIVE)
    seccomp.add_rules(library, ruleset, PID)
    with tempfile.TemporaryFile() as file:
        ruleset.export_bpf(file)
        file.seek(0)
        return list(struct.iter_unpack("=HBBI", file.read()))


@pytest.fixture(scope="module")
def programs():
    return {architecture: program(architecture) for architecture in ARCHITECTURES}


def run(program, architecture, number, arguments):
    """Execute the filter (networking/filter.rst of the kernel's documentation) on one call and return its verdict."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, AUDIT_ARCH[architecture], 0, *arguments)
    accumulator = at = 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        match code:
            case 0x20:  # load a word
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:  # and
                accumulator &= k
            case 0x05:  # jump
                at += k
            case 0x15:  # equal
                at += if_true if accumulator == k else if_false
            case 0x25:  # greater
                at += if_true if accumulator > k else if_false
            case 0x35:  # greater or equal
                at += if_true if accumulator >= k else if_false
            case 0x45:  # has a bit
                at += if_true if accumulator & k else if_false
            case 0x06:  # return
                return k
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def number_of(architecture, name):
    return seccomp.LIBRARY.resolve_syscall(getattr(seccomp.LIBRARY.Arch, architecture), name)


@pytest.fixture(params=ARCHITECTURES)
def verdict(request, programs):
    """Judges a call by name on one of the architectures."""
    architecture = request.param
    return lambda name, *arguments: run(
        programs[architecture],
        architecture,
        number_of(architecture, name),
        (*arguments, 0, 0, 0, 0, 0, 0)[:6],
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("argument", [0, 1, 0xFFFFFFFFFFFFFFFF])
def test_no_call_outside_the_list_is_allowed(programs, architecture, argument):
    """Every number there is, and those that are still free, with several arguments."""
    names = {name for name, _ in seccomp.allowed_calls(PID)}
    listed = {number_of(architecture, name) for name in names}
    verdicts = {
        number: run(programs[architecture], architecture, number, (argument,) * 6) for number in (*range(1024), -1)
    }
    assert {verdicts[number] for number in verdicts.keys() - listed} == {REFUSE}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_call_in_the_list_is_allowed(programs, architecture):
    """An architecture lacks a call only where it has a newer one for the same."""
    missing = {name for name in seccomp.ALWAYS if number_of(architecture, name) < 0}
    assert missing == (NOT_ON_ARM if architecture == "AARCH64" else set())
    for name in set(seccomp.ALWAYS) - missing:
        number = number_of(architecture, name)
        assert run(programs[architecture], architecture, number, (0xFFFFFFFFFFFFFFFF,) * 6) == ALLOW, name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_calls_of_another_architecture_end_the_thread(programs, architecture):
    """Number 20 is a harmless one here and another one there."""
    other = "X86" if architecture == "X86_64" else "X86_64"
    assert run(programs[architecture], other, 20, (0,) * 6) == KILL_THREAD


def test_calls_of_x32_are_refused(programs):
    """The kernel's third way into the same calls, with other numbers."""
    read = number_of("X86_64", "read")
    assert run(programs["X86_64"], "X86_64", read | X32_BIT, (0,) * 6) in {KILL_THREAD, REFUSE}


@pytest.mark.parametrize("name", ["mmap", "mprotect"])
@given(protection=st.integers(0, (1 << 64) - 1))
def test_memory_is_never_code(programs, name, protection):
    """Whatever else the argument says."""
    for architecture in ARCHITECTURES:
        call = (number_of(architecture, name), (0, 4096, protection, 0, 0, 0))
        is_code = bool(protection & mmap.PROT_EXEC)
        assert run(programs[architecture], architecture, *call) == (REFUSE if is_code else ALLOW)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(0, REFUSE, id="F_DUPFD"),
        pytest.param(1, ALLOW, id="F_GETFD"),
        pytest.param(2, REFUSE, id="F_SETFD"),
        pytest.param(3, ALLOW, id="F_GETFL"),
        pytest.param(4, REFUSE, id="F_SETFL"),
        pytest.param(8, REFUSE, id="F_SETOWN"),
        pytest.param(1030, ALLOW, id="F_DUPFD_CLOEXEC"),
        pytest.param(1030 + (1 << 32), ALLOW, id="F_DUPFD_CLOEXEC with dirt in the register"),
        pytest.param(1033, REFUSE, id="F_ADD_SEALS"),
        pytest.param(1034, ALLOW, id="F_GET_SEALS"),
    ],
)
def test_descriptors_can_be_copied_and_asked_but_not_changed(verdict, command, expected):
    assert verdict("fcntl", 3, command) == expected


def test_only_an_open_file_is_looked_at(verdict):
    """fstat(2) as older glibc does it; stat(2) of a path has no flags."""
    assert verdict("newfstatat", 3, 0x1234, 0x5678, 0x1000) == ALLOW
    assert verdict("newfstatat", -100 & 0xFFFFFFFF, 0x1234, 0x5678, 0) == REFUSE


def test_only_the_process_itself_gets_its_signals(verdict):
    assert verdict("tgkill", PID, 1, 6) == ALLOW
    assert verdict("tgkill", PID + 1, 1, 6) == REFUSE


def test_a_thread_chooses_its_own_cores_and_no_others(verdict):
    assert verdict("sched_setaffinity", 0, 8, 0x1234) == ALLOW
    assert verdict("sched_setaffinity", PID, 8, 0x1234) == REFUSE
