"""When a poll is one question, and when it is a refresh."""

import pytest
from msgspec import structs

from edged.config.schema import Config
from edged.errors import HostUnreachableError, IncompatibleError
from edged.update.lookout.lookout import Lookout
from edged.update.protocol.messages import Finding, Planned, Settled, Trusted, failure_of
from edged.update.service.poller import Poller
from tests.fakes.clocks import ManualClock

CLOCK = ManualClock()
OLD, NEW = (b'{"signed": {"_type": "timestamp", "version": %d}}' % version for version in (7, 8))
PORTAL = b"<html>Welcome to our network</html>"
CHECKED = {"a" * 64: 1.0}


def settled(timestamp=b"one", *, in_s=1000.0, failure=None):
    due = Settled(timestamp=timestamp, due_unix_s=CLOCK.unix_s() + in_s)
    return Finding(failure=failure, settled=due, checked_unix_s=CHECKED)


UNDONE = Finding(failure=failure_of(HostUnreachableError("away")), checked_unix_s=CHECKED)
UNFIT = failure_of(IncompatibleError("no variant fits"), is_for_publisher=True)


class Device:
    """A poller whose host has one timestamp and whose refreshes find what they are told to; the last finding repeats."""

    def __init__(self, *findings, poll_interval_s=60.0):
        self.clock = ManualClock()
        self.host_has = b"one"
        self.questions = 0
        self.tasks = []
        self.findings = list(findings)
        self.fresh = []
        self.watches = []
        self.sticks = []
        self.lookout = Lookout(
            question=self, poll_interval_s=poll_interval_s, monotonic_s=self.clock.monotonic_s, draw=lambda: 0.5
        )
        self.poller = Poller(
            config=Config(),
            lookout=self.lookout,
            refresh=self.refresh,
            now_unix_s=self.clock.unix_s,
            saw_fresh=self.fresh.append,
        )

    def fetch(self, known):
        self.questions += 1
        return self.host_has

    def refresh(self, task, report, watch, stick=None):
        self.tasks.append(task)
        self.watches.append(watch)
        self.sticks.append(stick)
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


def test_host_that_confirms_the_timestamp_is_seen_to_be_fresh():
    it = Device(settled())
    it.poll()
    assert it.fresh == []  # the refresh takes note itself
    it.clock.advance(100.0)

    it.poll()

    assert it.fresh == [it.clock.unix_s()]


def test_host_that_confirms_what_is_expired_is_not_fresh():
    it = Device(settled(in_s=10.0))
    it.poll()
    it.clock.advance(10.0)

    it.poll()

    assert it.fresh == []


def test_refresh_that_was_ended_for_a_newer_timestamp_is_begun_again():
    it = Device(None, None, settled())

    assert it.poll() == settled()

    assert len(it.tasks) == 3


def test_failed_refresh_is_tried_early_when_the_host_has_another_timestamp():
    it = Device(settled(OLD), UNDONE)
    it.host_has = OLD
    it.poll()
    it.host_has = NEW
    it.poll()  # looks at it, and fails
    assert not it.poller.has_news()

    it.host_has = NEW.replace(b"8", b"9")

    assert it.poller.has_news()
    assert not it.poller.has_news()


def test_failed_refresh_is_tried_early_when_the_host_is_back():
    it = Device(settled(OLD))
    it.host_has = OLD
    it.poll()
    it.host_has = None
    assert not it.poller.has_news()
    assert not it.poller.has_news()

    it.host_has = OLD

    assert it.poller.has_news()


class DeviceWithLooks(Device):
    """Its host has other timestamps while a refresh that went by the first one downloads."""

    def __init__(self, *meanwhile):
        super().__init__(UNDONE)
        self.meanwhile = meanwhile

    def refresh(self, task, report, watch, stick=None):
        if task.brings_bundles and self.meanwhile:
            for milestone in (Trusted(timestamp=self.host_has), Planned()):
                assert watch.goes_on(milestone)
            while self.meanwhile:
                self.host_has, *self.meanwhile = self.meanwhile
                assert not watch.is_outdated()
        return super().refresh(task, report, watch, stick)


def test_failed_refresh_is_tried_early_for_what_only_a_look_has_gone_by():
    """Its bundles have nothing to do with what failed; and once, because then they have had their try."""
    it = DeviceWithLooks(NEW)
    it.host_has = OLD
    it.poll()
    assert [task.brings_bundles for task in it.tasks] == [False, True]  # in the order in which they end

    assert it.poller.has_news()
    it.poll()
    assert not it.poller.has_news()


def test_failed_refresh_is_not_tried_early_for_what_it_went_by():
    it = DeviceWithLooks(OLD)
    it.host_has = OLD
    it.poll()

    assert not it.poller.has_news()


def test_host_that_went_away_during_a_refresh_is_back_when_it_answers():
    it = DeviceWithLooks(NEW, None)
    it.host_has = OLD
    it.poll()

    it.host_has = OLD

    assert it.poller.has_news()


def test_page_of_a_portal_is_no_news():
    it = Device(UNDONE)
    it.poll()
    it.host_has = PORTAL

    assert not it.poller.has_news()


def test_host_is_asked_within_each_poll_interval():
    it = Device(settled())
    it.poll()

    assert it.poller.wait_s() == pytest.approx(60.0 * 0.85)


def test_device_where_a_stop_is_expected_asks_every_five_seconds():
    it = Device(
        structs.replace(settled(), is_stop_sensitive=True), UNDONE, structs.replace(settled(), is_stop_sensitive=False)
    )
    it.poll()
    assert it.lookout.interval_s == 5.0

    it.poll(is_asked_for=True)
    assert it.lookout.interval_s == 5.0  # a refresh that crashed does not know

    it.poll()
    assert it.lookout.interval_s == 60.0


def test_interval_that_is_shorter_than_that_stays():
    it = Device(structs.replace(settled(), is_stop_sensitive=True), poll_interval_s=1.0)
    it.poll()

    assert it.lookout.interval_s == 1.0


def test_stick_is_brought_in():
    found = settled(b"one")
    it = Device(found)

    assert it.poller.apply("the stick", lambda *_: None) == found

    assert it.sticks == ["the stick"]
    assert it.questions == 0


def test_stick_that_was_ended_for_what_the_host_has_is_begun_again_after_a_look():
    it = Device(None, Finding(checked_unix_s={}), settled(b"one"))

    assert it.poller.apply("the stick", lambda *_: None) == settled(b"one")

    assert it.sticks == ["the stick", None, "the stick"]
    assert [task.brings_bundles for task in it.tasks] == [True, False, True]


def test_look_beside_a_refresh_changes_nothing_but_how_often_the_host_is_asked():
    """What it found holds for documents only."""
    it = Device(settled(OLD), Finding(is_stop_sensitive=True, checked_unix_s={}), settled(NEW))
    it.poll()
    (watch,) = it.watches
    for milestone in (Trusted(timestamp=OLD), Planned()):
        assert watch.goes_on(milestone)
    it.host_has = NEW

    assert not watch.is_outdated()

    assert [task.brings_bundles for task in it.tasks] == [True, False]
    assert it.lookout.interval_s == 5.0
    assert it.poll() == settled(NEW)


def test_stick_with_what_the_host_has_leaves_nothing_to_do():
    it = Device(settled(b"one"))
    it.poller.apply("the stick", lambda *_: None)

    it.poll()

    assert (len(it.tasks), it.questions) == (1, 1)


@pytest.mark.parametrize("found", [UNDONE, settled(b"another")])
def test_after_a_stick_that_failed_or_brought_something_else_the_host_is_looked_at(found):
    it = Device(found, settled(b"one"))
    it.poller.apply("the stick", lambda *_: None)

    it.poll()

    assert it.sticks == ["the stick", None]


def test_what_was_hashed_for_a_stick_is_not_hashed_again():
    it = Device(settled(b"one"), settled(b"one"))

    it.poller.apply("the stick", lambda *_: None)
    it.poll(is_asked_for=True)

    assert it.tasks[1].checked_unix_s == CHECKED


def test_without_a_repository_only_sticks_are_taken():
    it = Device(settled(b"one"))
    poller = Poller(
        config=Config(),
        lookout=Lookout(question=None, poll_interval_s=60.0, monotonic_s=it.clock.monotonic_s),
        refresh=it.refresh,
        now_unix_s=it.clock.unix_s,
        saw_fresh=it.fresh.append,
    )

    assert poller.apply("the stick", lambda *_: None) == settled(b"one")
    assert not poller.has_news()
