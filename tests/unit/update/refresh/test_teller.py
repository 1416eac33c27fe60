"""What the refresh process tells the updater, and how often."""

import socket

import pytest

from edged.update.protocol.messages import Fetching, Planned, Step, Trusted, decode_answer
from edged.update.protocol.phases import Phase, Progress
from edged.update.refresh.teller import Teller
from tests.fakes.clocks import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def told(clock):
    """A teller, and what the updater has heard from it since it was last asked."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)

    def hear():
        try:
            return [decode_answer(line) for line in ours.recv(1 << 16).splitlines()]
        except BlockingIOError:
            return []

    with ours, theirs:
        yield Teller(theirs, clock), hear


def progress(received):
    return Progress(model="demo", version="1.0.0", received_bytes=received, total_bytes=9)


def test_new_phases_are_told_at_once(told):
    teller, hear = told

    for phase in (Phase.POLLING, Phase.DOWNLOADING, Phase.STAGING):
        teller.report(phase)

    assert hear() == [Step(phase=Phase.POLLING), Step(phase=Phase.DOWNLOADING), Step(phase=Phase.STAGING)]


def test_progress_is_told_twice_a_second(told, clock):
    """Whatever the rate of the reports."""
    teller, hear = told
    for received in range(10):
        teller.report(Phase.DOWNLOADING, progress(received))
        clock.advance(0.2)

    assert [step.progress.received_bytes for step in hear()] == [0, 3, 6, 9]


def test_sign_of_life_repeats_the_last_step(told, clock):
    teller, hear = told
    teller.report(Phase.DOWNLOADING, progress(5))
    teller.go_on()
    assert hear() == [Step(phase=Phase.DOWNLOADING, progress=progress(5))]

    clock.advance(1.0)
    teller.go_on()

    assert hear() == [Step(phase=Phase.DOWNLOADING, progress=progress(5))]


def test_how_far_it_is_is_told_at_once(told):
    """What the updater does beside it depends on that."""
    teller, hear = told
    milestones = [Trusted(timestamp=b"\x00the bytes"), Planned(), Fetching(blob="a" * 64)]
    teller.report(Phase.POLLING)
    for milestone in milestones:
        teller.tell(milestone)

    assert hear() == [Step(phase=Phase.POLLING), *milestones]
