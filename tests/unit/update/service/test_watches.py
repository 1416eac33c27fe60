"""What goes on beside a refresh, by how far it is."""

import pytest

from edged.update.lookout.lookout import Lookout
from edged.update.protocol.messages import Fetching, Finding, Planned, Trusted
from edged.update.service.watches import HostWatch, StickWatch
from tests.fakes.clocks import ManualClock

ONE, TWO, THREE = (b'{"signed": {"_type": "timestamp", "version": %d}}' % version for version in (1, 2, 3))
BLOB, OTHER = "a" * 64, "b" * 64


class Beside:
    """A host, and light refreshes that trust what it has and find what they are told to."""

    def __init__(self, watch, *, finds=None, trusts=True):
        self.host_has = ONE
        self.clock = ManualClock()
        self.lookout = Lookout(
            question=self, poll_interval_s=60.0, monotonic_s=self.clock.monotonic_s, draw=lambda: 0.5
        )
        self.looks = 0
        self.finds = finds
        self.trusts = trusts
        self.watch = watch(self.lookout, self.look)

    def fetch(self, known):
        return self.host_has

    def look(self):
        self.looks += 1
        self.clock.advance(2.0)
        self.lookout.note_look()
        if self.trusts:
            self.lookout.trusted = self.host_has
        return None if self.finds is None else Finding(wanted=self.finds, checked_unix_s={})

    def reach(self, *milestones):
        return all(self.watch.goes_on(milestone) for milestone in milestones)


TRUSTED, PLANNED, FETCHING = Trusted(timestamp=ONE), Planned(), Fetching(blob=BLOB)


def test_refresh_that_trusts_nothing_yet_is_not_disturbed():
    """It asks the host itself."""
    it = Beside(HostWatch)
    it.host_has = TWO

    assert not it.watch.is_outdated()


def test_refresh_that_still_reads_metadata_is_ended_for_something_newer():
    it = Beside(HostWatch)
    it.reach(TRUSTED)
    assert not it.watch.is_outdated()

    it.host_has = TWO

    assert it.watch.is_outdated()
    assert it.looks == 0


@pytest.mark.parametrize(("wanted", "is_ended"), [((BLOB, OTHER), False), ((OTHER,), True), ((), True)])
def test_download_goes_on_as_long_as_its_blob_is_wanted(wanted, is_ended):
    it = Beside(HostWatch, finds=wanted)
    it.reach(TRUSTED, PLANNED, FETCHING)
    it.host_has = TWO

    assert it.watch.is_outdated() is is_ended
    assert it.looks == 1


@pytest.mark.parametrize("trusts", [True, False])
def test_download_goes_on_when_a_look_does_not_tell_what_is_wanted(trusts):
    it = Beside(HostWatch, finds=None, trusts=trusts)
    it.reach(TRUSTED, PLANNED, FETCHING)
    it.host_has = TWO

    assert not it.watch.is_outdated()


def test_next_blob_is_not_begun_when_nobody_wants_it_any_more():
    it = Beside(HostWatch, finds=(BLOB,))
    it.reach(TRUSTED, PLANNED, FETCHING)
    it.host_has = TWO
    assert not it.watch.is_outdated()

    assert it.reach(Fetching(blob=BLOB))
    assert not it.reach(Fetching(blob=OTHER))


def test_each_new_timestamp_is_looked_at_once_and_one_that_failed_again():
    it = Beside(HostWatch, finds=(BLOB,))
    it.reach(TRUSTED, PLANNED, FETCHING)
    for it.host_has in (ONE, TWO, TWO, THREE):
        it.watch.is_outdated()
    assert it.looks == 2

    it.trusts = False
    it.host_has = THREE.replace(b"3", b"4")
    for _ in range(2):
        it.watch.is_outdated()
    assert it.looks == 4


def test_stick_that_still_reads_metadata_is_ended_once_for_the_same_timestamp():
    """What cannot be trusted must not keep sticks out."""
    it = Beside(StickWatch, trusts=False)
    it.reach(TRUSTED)
    it.host_has = TWO

    assert it.watch.is_outdated()
    it.look()
    assert not it.watch.is_outdated()


def test_stick_is_ended_before_it_trusts_anything_too():
    """Unlike a host, it says nothing of what the host has."""
    assert Beside(StickWatch).watch.is_outdated()


def test_stick_is_read_to_its_end_whatever_is_wanted_by_now():
    it = Beside(StickWatch, finds=())
    it.reach(TRUSTED, PLANNED, FETCHING)
    it.host_has = TWO

    assert not it.watch.is_outdated()
    assert it.looks == 1
    assert it.reach(Fetching(blob=OTHER))


def test_stick_does_not_put_off_the_next_question():
    it = Beside(StickWatch)
    assert it.watch.wait_s() == 0.0

    it.lookout.ask(b"")

    assert 0 < it.watch.wait_s() < 60.0


def test_time_that_a_look_takes_does_not_put_off_the_next_question():
    it = Beside(HostWatch, finds=(BLOB,))
    assert it.watch.wait_s() == pytest.approx(51.0)  # the refresh has just asked itself
    it.reach(TRUSTED, PLANNED, FETCHING)
    it.host_has = TWO

    it.watch.is_outdated()

    assert it.watch.wait_s() == pytest.approx(51.0 - 2.0)
