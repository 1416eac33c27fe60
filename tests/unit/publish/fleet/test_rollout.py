import pytest

from edged.errors import EdgedError, NothingToDoError, UnavailableError, UsageError
from edged.ops.rollout import Next, Pin, RolloutEntry
from edged.ops.segments import Segment
from edged.publish.fleet.rollout import (
    STEPS,
    advance,
    halt,
    pin,
    release,
    resume,
    soak_left_s,
    start,
    unpin,
    versions_of,
)

BEGAN, LATER, MUCH_LATER = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z", "2026-11-24T10:00:00Z"
EU = (Segment(labels={"region": ("eu",)}),)


def new(**changes):
    return Next(**({"id": "r", "version": "1.1.0", "percent": 1.0, "soak_s": 86_400.0, "since": BEGAN} | changes))


def going(**changes):
    return RolloutEntry(version="1.0.0", next=new(**changes))


def test_steps_of_a_rollout_to_its_end():
    entry = start(RolloutEntry(version="1.0.0"), new())
    percents = [entry.next.percent]
    while (entry := advance(entry, percent=None, now=MUCH_LATER, at_once=True)).next is not None:
        percents.append(entry.next.percent)

    assert tuple(percents) == STEPS == (1, 10, 25, 50, 100)
    assert entry == RolloutEntry(version="1.1.0")


def test_a_step_keeps_who_takes_part_and_begins_anew_with_its_time():
    entry = advance(going(segments=EU, flag="go"), percent=None, now=MUCH_LATER)

    assert entry == going(segments=EU, flag="go", percent=10.0, since=MUCH_LATER)


def test_soak_time_is_waited_for_unless_somebody_wants_to_go_on():
    with pytest.raises(UnavailableError, match="1 % has 23 h 0 min of its soak time left") as caught:
        advance(going(), percent=None, now=LATER)

    assert caught.value.retry_after_s == 23 * 3600 + 1
    assert advance(going(), percent=None, now=LATER, at_once=True).next.percent == 10
    assert advance(going(), percent=None, now="2026-11-23T10:00:00Z").next.percent == 10


def test_a_clock_that_went_back_makes_soak_time_no_shorter():
    assert soak_left_s(new(), now="2026-11-21T10:00:00Z") > 86_400.0


@pytest.mark.parametrize(
    ("entry", "percent", "message"),
    [
        (going(percent=25.0), 10.0, "at 25 % already"),
        (going(halted=True, reason="slow"), None, "is held"),
        (going(halted=True, reason="slow"), 50.0, "is held"),
        (going(percent=0.0, reason="slow"), None, "is held"),
        (going(percent=100.0, segments=EU), None, "to a part of the fleet only: region=eu"),
        (going(percent=100.0, flag="go"), None, "everybody, where the flag go is on"),
    ],
)
def test_rollouts_that_do_not_advance(entry, percent, message):
    with pytest.raises(UsageError, match=message):
        advance(entry, percent=percent, now=MUCH_LATER, at_once=True)


def test_a_rollout_to_a_part_of_the_fleet_is_finished_when_that_is_asked_for():
    finished = advance(going(percent=100.0, segments=EU), percent=None, now=MUCH_LATER, to_everyone=True)

    assert finished == RolloutEntry(version="1.1.0")


def test_the_same_percentage_again_changes_nothing():
    """So that a run that was killed after it was done may be repeated."""
    assert advance(going(percent=10.0), percent=10.0, now=LATER) == going(percent=10.0)


@pytest.mark.parametrize("action", ["advance", "halt", "resume"])
@pytest.mark.parametrize("entry", [None, RolloutEntry(version="1.0.0")])
def test_nothing_can_be_done_to_no_rollout(action, entry):
    actions = {
        "advance": lambda: advance(entry, percent=None, now=LATER),
        "halt": lambda: halt(entry, reason="x"),
        "resume": lambda: resume(entry, now=LATER),
    }
    with pytest.raises(NothingToDoError, match="nothing is being rolled out"):
        actions[action]()


def test_start_of_a_first_version_has_nobody_else():
    assert start(None, new()) == RolloutEntry(next=new())


def test_starting_the_same_rollout_again_changes_nothing():
    assert start(going(), new(since=LATER)) == going()


@pytest.mark.parametrize(
    ("entry", "version", "message"),
    [
        (going(), "1.2.0", "1.1.0 is being rolled out, at 1 %"),
        (going(percent=50.0), "1.1.0", "at 50 %"),
        (RolloutEntry(version="1.1.0"), "1.1.0", "the version for everyone already"),
    ],
)
def test_rollouts_that_cannot_start(entry, version, message):
    with pytest.raises(UsageError, match=message):
        start(entry, new(version=version))


@pytest.mark.parametrize("held", [{"halted": True, "reason": "slow"}, {"percent": 0.0, "reason": "slow"}])
def test_a_held_rollout_is_replaced_by_another(held):
    assert start(going(**held), new(version="1.2.0")) == going(version="1.2.0")
    assert release(going(**held), "1.2.0") == RolloutEntry(version="1.2.0")


def test_halting_and_resuming():
    halted = halt(going(percent=10.0), reason="slow")

    assert halted == going(percent=10.0, halted=True, reason="slow")
    assert halt(halted, reason="slow") == halted
    assert resume(halted, now=LATER) == going(percent=10.0, since=LATER)
    assert resume(going(), now=LATER) == going()


def test_taking_back_leaves_nobody_in_and_is_left_only_on_purpose():
    back = halt(going(percent=10.0), reason="wrong", takes_back=True)

    assert back == going(percent=0.0, reason="wrong")
    assert halt(going(percent=10.0, halted=True, reason="slow"), reason="wrong", takes_back=True) == back
    with pytest.raises(UsageError, match="taken back already"):
        halt(back, reason="slow")
    resumed = resume(back, now=LATER)
    assert resumed == going(percent=0.0, since=LATER)
    assert advance(resumed, percent=None, now=LATER, at_once=True).next.percent == 1


def test_a_first_version_cannot_be_taken_back():
    with pytest.raises(UsageError, match="no version to go back to"):
        halt(RolloutEntry(next=new()), reason="wrong", takes_back=True)


def test_publishing_for_everyone_is_refused_while_another_version_goes_step_by_step():
    for version in ("1.1.0", "1.2.0"):
        with pytest.raises(UsageError, match=r"1\.1\.0 is being rolled out"):
            release(going(), version)

    assert release(going(), "1.0.0") == going()
    assert release(None, "1.0.0") == RolloutEntry(version="1.0.0")


def test_pins_survive_everything_else_and_are_replaced_by_their_part_of_the_fleet():
    first = Pin(segments=EU, version="0.9.0", reason="old")
    second = Pin(segments=(Segment(arch=("arm64",)),), version="1.0.0")
    entry = pin(pin(going(percent=100.0), first), second)

    assert advance(entry, percent=None, now=MUCH_LATER).pins == (first, second)
    assert release(RolloutEntry(version="1.0.0", pins=(first,)), "1.1.0").pins == (first,)
    replaced = Pin(segments=EU, version="1.0.0")
    assert pin(entry, replaced).pins == (replaced, second)
    assert unpin(entry, EU).pins == (second,)
    assert versions_of(entry) == ["1.0.0", "1.1.0", "0.9.0"]


def test_a_pin_that_is_not_there_is_not_taken_away_silently():
    entry = pin(None, Pin(segments=EU, version="1.0.0"))
    with pytest.raises(NothingToDoError, match="exactly arch=arm64") as caught:
        unpin(entry, (Segment(arch=("arm64",)),))

    assert caught.value.hint == "Pinned are: region=eu."


def test_every_refusal_says_what_to_do():
    refusals = [
        lambda: advance(going(), percent=None, now=LATER),
        lambda: advance(going(percent=25.0), percent=1.0, now=LATER),
        lambda: release(going(), "1.2.0"),
        lambda: unpin(None, EU),
        lambda: halt(None, reason="x"),
    ]
    for refused in refusals:
        with pytest.raises(EdgedError) as caught:
            refused()
        assert caught.value.hint
