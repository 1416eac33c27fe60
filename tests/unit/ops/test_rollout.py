"""Which version a device runs, rule by rule."""

import pytest

from edged.ids import Version
from edged.ops.cohort import bucket
from edged.ops.rollout import Next, Pin, RolloutEntry, decide
from edged.ops.segments import Device, Segment

CANARY = Segment(labels={"ring": ("canary",)})
ARM = Segment(arch=("arm64",))
SINCE = "2026-11-22T10:00:00Z"
EARLY = next(str(number) for number in range(1000) if bucket("r1", str(number)) < 1000)
LATE = next(str(number) for number in range(1000) if bucket("r1", str(number)) >= 9000)


def next_of(**changes):
    return Next(**{"id": "r1", "version": "2.0.0", "percent": 10, "since": SINCE} | changes)


def decided(entry, *, device_id=EARLY, active="1.0.0", flags=None, **labels):
    device = Device(id=device_id, arch="amd64", labels=labels)
    return decide(entry, device, active=None if active is None else Version.parse(active), flags=flags or {})


def test_version_for_everyone_is_run_where_nothing_else_is_said():
    decision = decided(RolloutEntry(version="1.0.0"))

    assert (str(decision.run), decision.rule, decision.bring) == ("1.0.0", "everyone", (Version(1, 0, 0),))


def test_first_devices_run_what_is_rolled_out_and_the_others_do_not_even_fetch_it():
    entry = RolloutEntry(version="1.0.0", next=next_of(soak_s=60, shadow=0.1))
    first, last = decided(entry), decided(entry, device_id=LATE)

    assert (str(first.run), first.rule, first.soak_s, first.bring) == ("2.0.0", "next", 60, (Version(2, 0, 0),))
    assert (first.shadow, last.shadow) == (0.1, 0)
    assert (str(last.run), last.rule, last.soak_s, last.bring) == ("1.0.0", "everyone", 0, (Version(1, 0, 0),))
    assert "not among the first 10 %" in last.reason


def test_device_outside_the_segments_waits_whatever_the_percentage():
    entry = RolloutEntry(version="1.0.0", next=next_of(percent=100, segments=(CANARY,)))

    assert str(decided(entry).run) == "1.0.0"
    assert str(decided(entry, ring="canary").run) == "2.0.0"


@pytest.mark.parametrize(("active", "runs"), [("1.0.0", "1.0.0"), ("2.0.0", "2.0.0"), (None, "1.0.0")])
def test_halted_rollout_is_joined_by_nobody_and_left_by_nobody(active, runs):
    entry = RolloutEntry(version="1.0.0", next=next_of(percent=100, halted=True))

    assert str(decided(entry, active=active).run) == runs


def test_device_that_runs_a_halted_version_leaves_it_when_it_is_no_longer_in_the_segments():
    entry = RolloutEntry(version="1.0.0", next=next_of(percent=100, halted=True, segments=(CANARY,)))

    assert str(decided(entry, active="2.0.0").run) == "1.0.0"


def test_bits_come_before_the_flag_and_behaviour_with_it():
    entry = RolloutEntry(version="1.0.0", next=next_of(flag="new"))
    before, after = decided(entry), decided(entry, flags={"new": True})

    assert (str(before.run), before.bring) == ("1.0.0", (Version(1, 0, 0), Version(2, 0, 0)))
    assert "waits for the flag new" in before.reason
    assert (str(after.run), after.bring) == ("2.0.0", (Version(2, 0, 0),))


def test_first_pin_that_fits_goes_before_everything():
    pins = (Pin(segments=(ARM,), version="0.8.0"), Pin(segments=(CANARY,), version="0.9.0", reason="audit"))
    entry = RolloutEntry(version="1.0.0", next=next_of(percent=100), pins=pins)
    decision = decided(entry, ring="canary")

    assert (str(decision.run), decision.rule, decision.reason) == ("0.9.0", "pin", "pinned to 0.9.0: audit")
    assert str(decided(entry).run) == "2.0.0"


def test_first_version_ever_runs_on_the_first_devices_alone():
    entry = RolloutEntry(next=next_of())

    assert str(decided(entry, active=None).run) == "2.0.0"
    assert (decided(entry, device_id=LATE, active=None).run, decided(entry, device_id=LATE).rule) == (None, "nobody")
