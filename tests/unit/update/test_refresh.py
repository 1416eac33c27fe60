"""What the refresh process tells the updater: how often, and which failure."""

import socket

import pytest

from edged.errors import DigestMismatchError, EdgedError, HostUnreachableError, IncompatibleError, ManifestError
from edged.ids import ModelName
from edged.update.client import ModelFailure, Summary
from edged.update.messages import Step, decode_answer
from edged.update.phases import Phase, Progress
from edged.update.refresh import Teller, choose_failure
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


def summary(*errors: EdgedError) -> Summary:
    failures = [ModelFailure(model=ModelName(f"m{i}"), version="1.0.0", error=error) for i, error in enumerate(errors)]
    return Summary(staged=(), failures=tuple(failures), timestamp=b"", due_unix_s=0.0)


def test_what_the_device_or_host_may_mend_is_named_first():
    failure = choose_failure(
        summary(IncompatibleError("no variant fits"), DigestMismatchError("altered"), HostUnreachableError("away"))
    )

    assert (failure.code, failure.subject, failure.is_for_publisher) == ("digest-mismatch", "m1 1.0.0", False)


def test_what_only_the_publisher_can_mend_is_named_as_that():
    failure = choose_failure(summary(IncompatibleError("no variant fits"), ManifestError("manifest.json", [])))

    assert (failure.code, failure.subject, failure.is_for_publisher) == ("bundle-incompatible", "m0 1.0.0", True)


def test_without_failures_nothing_is_named():
    assert choose_failure(summary()) is None
