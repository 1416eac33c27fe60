"""The real code, killed or refused at each of the system calls by which it changes the store or the state, from update to clean-up.

After each: the device serves a verified version, the old or the new one, and doing it all again ends as if nothing had happened.
"""

import errno
import signal

import pytest

from tests.fakes.syscalls import why_not
from tests.power.driver import REFUSED
from tests.power.recovery import BUNDLES, tree_of


def versions_in(place):
    """Return the versions that have a name in the store."""
    return sorted(path.name for path in (place / "device" / BUNDLES / "demo").iterdir())


def finish(device, place, recovery, call):
    """Do it all again, and look whether it ends as if nothing had happened."""
    again = device.run(place, "everything")
    assert again.code == 0, (call, again.err)
    recovery.check(tree_of(place / "device"))
    assert versions_in(place) == ["1.0.0", "1.1.0"], call


@pytest.fixture(scope="module")
def calls(device):
    """The calls of a run in which nothing happens, as they are without the digests in them."""
    place = device.begin()
    run = device.run(place, "everything", is_recorded=True)
    assert run.code == 0, run.err
    assert versions_in(place) == ["1.0.0", "1.1.0"]
    device.recovery().check(tree_of(place / "device"))
    return run.calls


def test_calls_of_every_stage_are_met(calls):
    """What the others rest on: the tracer sees the store and the state change, in each of the ways that they do."""
    met = {call.split()[0] for call in calls}

    assert met >= {
        "openat",
        "write",
        "pwrite64",
        "ftruncate",
        "fsync",
        "fdatasync",
        "rename",
        "link",
        "mkdir",
        "unlink",
    }
    places = {
        call.partition("/device/")[2].split("/")[1]
        for call in calls
        if "/device/state/" in call or "/device/store/" in call
    }
    assert places >= {"tuf", "ops", "partial", "blobs", "tmp", "bundles", "state.db", "state.db-wal"}


def test_killed_before_any_call_and_begun_again(device, calls):
    recovery = device.recovery()
    for at, call in enumerate(calls):
        place = device.begin()
        run = device.run(place, "everything", kill_at=at)
        assert (run.code, len(run.calls)) == (-signal.SIGKILL, at + 1), call

        recovery.check(tree_of(place / "device"))
        finish(device, place, recovery, call)


@pytest.mark.parametrize(
    "error",
    [errno.ENOSPC, pytest.param(errno.EIO, marks=pytest.mark.both_alike)],
    ids=["no space", "input or output error"],
)
def test_any_call_fails_and_it_is_done_again(device, calls, error):
    """An error is either of no consequence, or named; nothing that was good is worse for it."""
    if reason := why_not(to_refuse=True):
        pytest.skip(reason)
    recovery = device.recovery()
    for at, call in enumerate(calls):
        place = device.begin()
        run = device.run(place, "everything", refuse_at=at, error=error)
        assert len(run.calls) > at, call
        assert run.code in {0, REFUSED}, (call, run.err)

        recovery.check(tree_of(place / "device"))
        if at % 4 == 0:  # what was cut off here is finished after each kill, too
            finish(device, place, recovery, call)
