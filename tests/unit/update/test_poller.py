"""When a poll is one question, and when it is a refresh."""

import pytest

from edged.config.schema import Config
from edged.errors import HostUnreachableError, IncompatibleError
from edged.update.messages import Finding, Settled, failure_of
from edged.update.poller import Poller
from tests.fakes.clocks import ManualClock

CLOCK = ManualClock()
CHECKED = {"a" * 64: 1.0}


def settled(timestamp=b"one", *, in_s=1000.0, failure=None):
    due = Settled(timestamp=timestamp, due_unix_s=CLOCK.unix_s() + in_s)
    return Finding(failure=failure, settled=due, checked_unix_s=CHECKED)


UNDONE = Finding(failure=failure_of(HostUnreachableError("away")), checked_unix_s=CHECKED)
UNFIT = failure_of(IncompatibleError("no variant fits"), is_for_publisher=True)


class Device:
    """A poller whose host has one timestamp and whose refreshes find what they are told to; the last finding repeats."""

    def __init__(self, *findings):
        self.clock = ManualClock()
        self.host_has = b"one"
        self.questions = 0
        self.tasks = []
        self.findings = list(findings)
        self.poller = Poller(config=Config(), question=self, refresh=self.refresh, now_unix_s=self.clock.unix_s)

    def is_unchanged(self, trusted):
        self.questions += 1
        return trusted == self.host_has

    def refresh(self, task, report):
        self.tasks.append(task)
        return self.findings.pop(0) if len(self.findings) > 1 else self.findings[0]

    def poll(self, *, is_asked_for=False):
        return self.poller.poll(lambda *_: None, is_asked_for=is_asked_for)


def test_first_poll_is_a_refresh_and_the_next_is_a_question():
    it = Device(settled())

    assert [it.poll(), it.poll(), it.poll()] == [settled()] * 3

    assert (len(it.tasks), it.questions) == (1, 2)


def test_new_timestamp_is_refreshed():
    it = Device(settled(b"one"), settled(b"two"))
    it.poll()
    it.host_has = b"two"

    it.poll()
    it.poll()

    assert len(it.tasks) == 2


def test_what_is_left_undone_is_tried_again_without_a_question():
    it = Device(UNDONE, UNDONE, settled())

    assert [it.poll().failure for _ in range(4)] == [UNDONE.failure, UNDONE.failure, None, None]

    assert (len(it.tasks), it.questions) == (3, 1)


def test_what_the_publisher_has_to_mend_stays_known_without_a_refresh():
    """Such a bundle does not get better by being looked at again."""
    it = Device(settled(failure=UNFIT))

    assert [it.poll().failure for _ in range(3)] == [UNFIT] * 3

    assert len(it.tasks) == 1


def test_refresh_that_somebody_asks_for_is_run():
    it = Device(settled())
    it.poll()

    it.poll(is_asked_for=True)

    assert (len(it.tasks), it.questions) == (2, 0)


@pytest.mark.parametrize(("later_s", "refreshes"), [(999.0, 1), (1000.0, 2)])
def test_unchanged_timestamp_is_believed_until_something_is_due(later_s, refreshes):
    """Metadata is expired from its very second on (TUF specification 1.0.33, section 5.4.4)."""
    it = Device(settled(in_s=1000.0))
    it.poll()
    it.clock.advance(later_s)

    it.poll()

    assert len(it.tasks) == refreshes


def test_each_refresh_is_told_what_was_checked_before():
    it = Device(UNDONE)

    it.poll()
    it.poll()

    assert [task.checked_unix_s for task in it.tasks] == [{}, CHECKED]
