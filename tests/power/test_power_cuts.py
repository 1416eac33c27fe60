"""The power goes at any moment of an update, a fall back and a clean-up, and whatever was not durable is lost, in part or in any order.

What the disk may hold is said by ``tests.fakes.power_cuts``; the device is the real code, which finds a verified version each time.
"""

import random
import re

import pytest

from tests.fakes.power_cuts import Disk
from tests.power.mistakes import MISTAKES
from tests.power.recovery import BUNDLES, NotRecoveredError, tree_of

STATES = 20_000
REPEATED = 30
"""After so many states in a row that were there before, there are hardly any others."""
BEGUN_AGAIN = 80


@pytest.fixture
def recorded(device):
    """Do stages one after the other, and give the disk as it was before with all that was done to it."""

    def record(*stages, kill_at=None, mistakes=()):
        place = device.begin()
        disk = Disk(place / "device")
        changes = []
        for number, stage in enumerate(stages):
            # Of several, the first is the one that is cut off.
            kill = None if number else kill_at
            run = device.run(place, stage, *mistakes, is_recorded=True, kill_at=kill)
            assert run.code == (0 if kill is None else -9), run.err
            changes += run.changes
        return disk, changes

    return record


def cuts(disk, changes, *, most):
    """Give states that the disk may be in after a power cut: each of them once, and the same ones each time.

    Args:
        disk: As it was.
        changes: What is done to it.
        most: How many to give after one change, of those that were not given before.
    """
    seen = set()
    for number, change in enumerate(changes):
        disk.apply(change)
        given = repeated = 0
        for tree in disk.states(random.Random(number)):
            key = hash(frozenset(tree.items()))
            if key in seen:
                repeated += 1
            else:
                seen.add(key)
                given += 1
                repeated = 0
                yield tree, change
            if given == most or repeated == REPEATED:
                break


def first_trouble(recovery, disk, changes, *, most):
    """Return what is wrong in the first state from which the device does not recover, empty if it does from all, and how many it was."""
    count = 0
    for tree, change in cuts(disk, changes, most=most):
        count += 1
        try:
            recovery.check(tree)
        except NotRecoveredError as exc:
            return f"{exc} (cut after {change.what} {change.path})", count
    return "", count


def test_twenty_thousand_power_cuts_leave_a_verified_version(device, recorded):
    trouble, count = first_trouble(device.recovery(), *recorded("everything"), most=600)

    assert trouble == ""
    assert count >= STATES


def test_power_cuts_after_a_run_that_was_ended_leave_a_verified_version(device, recorded):
    """What was not durable when the updater was ended is not known to the next one, nor to the daemon."""
    recovery = device.recovery()
    place = device.begin()
    calls = device.run(place, "everything", is_recorded=True).calls
    renames = [i + 1 for i, call in enumerate(calls) if call.startswith(("rename ", "mkdir ", "link "))]
    for at in renames:
        trouble, _ = first_trouble(recovery, *recorded("everything", "activate", "everything", kill_at=at), most=6)
        assert trouble == "", calls[at]


def test_update_goes_on_after_power_cuts(device, recorded):
    """What the power cut left is cleaned up, fetched again where it is not what was signed, and brought to the same end."""
    recovery = device.recovery()
    states = [tree for tree, _ in cuts(*recorded("everything"), most=40)]
    for tree in random.Random("again").sample(states, BEGUN_AGAIN):
        place = device.boot(tree)

        run = device.run(place, "everything")

        assert run.code == 0, run.err
        after = tree_of(place / "device")
        recovery.check(after)
        assert {name.split("/")[3] for name in after if name.startswith(f"{BUNDLES}demo/")} == {"1.0.0", "1.1.0"}


@pytest.mark.both_alike
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_found(device, recorded, mistake):
    """The same states, of a program with one mistake in it: in one of them at least the device is lost."""
    trouble, _ = first_trouble(device.recovery(), *recorded("everything", mistakes=[mistake]), most=100)

    assert re.search(MISTAKES[mistake][1], trouble), trouble
