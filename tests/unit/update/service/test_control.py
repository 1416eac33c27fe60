"""Who asks the updater for something: who is let in, who is dropped, and who is told what."""

import array
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from edged import journal
from edged.update.protocol.asking import Apply, Check, Opened, Outcome, encode_packet
from edged.update.protocol.messages import Step
from edged.update.protocol.phases import Phase, Progress
from edged.update.service.control import MAX_CHECKS, MAX_STRANGERS, SAY_WITHIN_S
from tests.fakes.clocks import ManualClock
from tests.fakes.controls import desk, is_dropped, told
from tests.fakes.open_files import open_files

DONE = Outcome(staged=("demo 1.0.0",))
PROGRESS = Progress(model="demo", version="1.0.0", received_bytes=1, total_bytes=2)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def it(clock):
    with desk(clock) as opened:
        yield opened


def test_check_is_told_the_steps_and_the_outcome_of_a_poll_that_begins_afterwards(it):
    with it.ask(Check()) as peer:
        assert it.control.is_check_asked

        it.control.begin_check()
        it.control.tell(Phase.DOWNLOADING, PROGRESS)
        it.control.end_check(DONE)

        assert told(peer) == Step(phase=Phase.DOWNLOADING, progress=PROGRESS)
        assert told(peer) == DONE
        assert told(peer) is None
    assert not it.control.is_check_asked


def test_poll_that_runs_is_not_the_one_that_was_asked_for(it):
    """What it has looked at already may be older than the question; its steps are shown all the same."""
    it.control.begin_check()
    it.control.tell(Phase.DOWNLOADING, PROGRESS)
    with it.ask(Check()) as peer:
        it.control.end_check(Outcome(staged=("other 1.0.0",)))

        assert told(peer) == Step(phase=Phase.DOWNLOADING, progress=PROGRESS)
        assert it.control.is_check_asked
        it.control.begin_check()
        it.control.end_check(DONE)
        assert told(peer) == Outcome(staged=("other 1.0.0", "demo 1.0.0"))


def test_all_who_wait_share_one_poll(it):
    with it.ask(Check()) as one, it.ask(Check()) as other:
        it.control.begin_check()
        it.control.end_check(DONE)

        assert [told(one), told(other)] == [DONE, DONE]


def test_there_is_a_limit_to_how_many_wait(it):
    waiting = [it.ask(Check()) for _ in range(MAX_CHECKS)]
    with it.ask(Check()) as late:
        answer = told(late)

    assert answer.failure.code == "unavailable"
    assert answer.failure.hint
    for peer in waiting:
        peer.close()


def test_one_at_a_time_brings_updates(it):
    """Also while the first has not been begun."""
    with it.ask(Apply()) as first, it.ask(Apply()) as second:
        assert told(second).failure.code == "unavailable"
        it.control.begin_apply()
        with it.ask(Apply()) as third:
            assert told(third).failure.code == "unavailable"
        it.control.end_apply(DONE)
        assert told(first) == DONE
    with it.ask(Apply()) as fourth:
        assert it.control.is_apply_asked
        it.control.begin_apply()
        assert not it.control.is_apply_asked
        it.control.end_apply(Outcome())
        assert told(fourth) == Outcome()


def test_what_the_one_who_brings_updates_says_is_left_for_the_refresh(it):
    with it.ask(Apply()) as peer:
        connection = it.control.begin_apply()
        peer.send(b"an answer")

        assert connection not in it.control.sockets()
        assert connection.recv(100) == b"an answer"


def test_peer_that_says_nothing_is_dropped_in_time(it, clock):
    with it.connect() as peer:
        it.attend()
        assert it.control.deadline_s() == clock.monotonic_s() + SAY_WITHIN_S
        clock.advance(SAY_WITHIN_S - 0.001)
        it.attend()
        assert it.control.deadline_s() is not None

        clock.advance(0.001)
        it.attend()

        assert is_dropped(peer)
        assert it.control.deadline_s() is None


def test_silent_peers_do_not_fill_the_house(it, clock):
    """Those who come later wait outside until the silent ones are dropped."""
    silent = [it.connect() for _ in range(MAX_STRANGERS)]
    for _ in silent:
        it.attend()
    assert len(it.control.sockets()) == MAX_STRANGERS
    with it.ask(Check()):
        assert not it.control.is_check_asked
        clock.advance(SAY_WITHIN_S)
        it.attend()
        for _ in range(2):
            it.attend()

        assert it.control.is_check_asked
    for peer in silent:
        peer.close()


@pytest.mark.parametrize(
    "packet",
    [b"x", b"{}", b'{"type":"check","now":true}', b'{"type":"opened"}', b"\xff" * 70_000, b"[" * 60_000, encode_packet(Opened(path="a"))],
    ids=["text", "object", "unknown-key", "other-type", "binary", "deep", "reply"],
)  # fmt: skip
def test_peer_that_is_not_understood_is_dropped(it, packet):
    with it.ask(packet) as peer:
        assert is_dropped(peer)
    assert not it.control.is_check_asked


def test_descriptors_that_nobody_asked_for_are_not_kept(it):
    before = open_files()
    with it.connect() as peer, Path("/dev/null").open("rb") as file:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno()] * 50))
        peer.sendmsg([encode_packet(Apply())], [rights])
        for _ in range(2):
            it.attend()
        assert it.control.is_apply_asked
        assert open_files() - before == 3  # both ends of the connection, and the file here

    it.control.end_apply(Outcome())


def test_peer_that_has_gone_is_forgotten_when_there_is_something_to_tell(it):
    it.ask(Check()).close()
    assert it.control.is_check_asked

    it.control.tell(Phase.POLLING)

    assert not it.control.is_check_asked


def drain(peer):
    """Return what a peer has been told until now."""
    peer.settimeout(0)
    seen = []
    with suppress(BlockingIOError):
        while (step := told(peer)) is not None:
            seen.append(step)
    peer.settimeout(30.0)
    return seen


def test_peer_that_does_not_read_holds_nobody_up(it):
    """It misses steps. Once it reads again, it is told how things end."""
    with it.ask(Check()) as stuck, it.ask(Check()) as other:
        it.control.begin_check()
        for number in range(5000):
            it.control.tell(Phase.DOWNLOADING, Progress(model="m", version="1", received_bytes=number, total_bytes=1))
            assert told(other).progress.received_bytes == number
        seen = drain(stuck)
        it.control.end_check(DONE)

        assert (told(other), told(stuck)) == (DONE, DONE)
    assert [step.progress.received_bytes for step in seen] == list(range(len(seen)))
    assert 0 < len(seen) < 5000


def test_who_asked_is_in_the_journal(it, caplog):
    caplog.set_level("INFO")

    it.ask(Check()).close()

    (fields,) = [
        r.edged_fields for r in caplog.records if getattr(r, "edged_message_id", "") == journal.UPDATE_ASKED.message_id
    ]
    assert (fields["verb"], fields["uid"]) == ("check", os.getuid())
    assert fields["user"]


def test_closing_ends_every_conversation(it):
    with it.connect() as stranger, it.ask(Check()) as asker, it.ask(Apply()) as bringer:
        it.attend()

        it.control.close()

        assert all(is_dropped(peer) for peer in (stranger, asker, bringer))
