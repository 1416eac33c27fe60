"""Updates that a person asks for or brings, with the real updater, its refreshes, and edgectl's side of the control socket."""

import shutil
import socket
from contextlib import contextmanager
from threading import Thread

import pytest

from edged.cli.beneath import Beneath
from edged.cli.exits import Exit, exit_code_for
from edged.cli.updater import apply, check, find
from edged.errors import (
    FileMissingError,
    HostUnreachableError,
    MetadataRollbackError,
    NothingToDoError,
    UnavailableError,
)
from edged.update.protocol.asking import MAX_PACKET_BYTES, Apply, Check, OpenFile, Outcome, decode_told, encode_packet
from edged.update.protocol.messages import Step
from edged.update.protocol.phases import Phase
from tests.fakes.fleets import Operator
from tests.fakes.patience import PATIENCE_S
from tests.fakes.services import process, stop, wait_for
from tests.fakes.static_host import Fault
from tests.fakes.sticks import send_reply
from tests.fakes.updates import THREE_CHUNKS, blob_path


@pytest.fixture
def gate(site):
    with process("edged.egress", "--config", site.config) as running:
        yield running


@contextmanager
def updating(site):
    with process("edged.update", "--config", site.config) as updater:
        yield updater


@pytest.fixture
def online(site, gate):
    """An updater that has everything."""
    with updating(site) as updater:
        wait_for(lambda: site.status().last_success_at)
        yield updater


@pytest.fixture
def offline(site):
    """An updater that has never seen its repository: there is no gate."""
    with updating(site) as updater:
        wait_for(lambda: site.status().phase is Phase.WAITING)
        yield updater


@pytest.fixture
def control(site):
    return str(site.run / "control.sock")


@pytest.fixture
def stick(site, tmp_path):
    """The repository, copied as it is now; call it again for a later state."""

    def copy(name="stick"):
        return shutil.copytree(site.publisher.root, tmp_path / name)

    return copy


def installed(site):
    return sorted(path.parent.name for path in (site.store / "bundles").glob("*/*/manifest.json"))


def nothing(_step):
    """Take no note of a step."""


def test_check_brings_what_is_new_at_once(site, online, control):
    site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    steps = []

    ending = check(control, steps.append)

    assert (ending.staged, ending.error) == (("demo 1.1.0",), None)
    assert installed(site) == ["1.0.0", "1.1.0"]
    assert {Phase.POLLING, Phase.DOWNLOADING, Phase.STAGING} <= {step.phase for step in steps}
    assert any(step.progress and step.progress.total_bytes > THREE_CHUNKS for step in steps)
    assert check(control, nothing).staged == ()


def test_check_fails_with_the_error_of_the_poll(site, offline, control):
    ending = check(control, nothing)

    assert isinstance(ending.error, HostUnreachableError)
    assert "edged-egress" in ending.error.hint


def test_check_where_no_repository_is_configured(site, control):
    site.configure(is_connected=False)
    with updating(site):
        ending = check(control, nothing)

        assert isinstance(ending.error, NothingToDoError)
        assert site.status().phase is Phase.UNCONFIGURED


def test_checks_that_come_together_share_a_poll(site, online, control):
    site.publisher.release("1.1.0")
    site.web.requests.clear()
    endings = []
    threads = [Thread(target=lambda: endings.append(check(control, nothing))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(endings) == 4
    assert {ending.error for ending in endings} == {None}
    assert ("demo 1.1.0",) in {ending.staged for ending in endings}


def test_peers_that_are_not_understood_change_nothing(site, online, control):
    for packet in (b"", b"x", encode_packet(Step(phase=Phase.IDLE)), b"{" * 60_000):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
            peer.settimeout(PATIENCE_S)
            peer.connect(control)
            peer.send(packet)
            if packet:
                assert peer.recv(100) == b""

    assert check(control, nothing).error is None


def test_stop_does_not_wait_for_those_who_ask(site, offline, control):
    with Hand(control, Apply()) as hand:
        assert isinstance(hand.hear(), Step)

        assert stop(offline) == 0

    assert not (site.run / "control.sock").exists()


def test_repository_on_a_stick_is_brought_in(site, offline, control, stick):
    site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    steps = []

    ending = apply(control, stick(), steps.append)

    assert (ending.staged, ending.error) == (("demo 1.1.0",), None)
    assert {Phase.DOWNLOADING, Phase.STAGING} <= {step.phase for step in steps}


def test_stick_works_where_no_repository_is_configured(site, control, stick):
    site.configure(is_connected=False)
    with updating(site):
        assert apply(control, stick(), nothing).staged == ("demo 1.0.0",)

        wait_for(lambda: site.status().phase is Phase.UNCONFIGURED)
        assert apply(control, stick("again"), nothing).staged == ()


def test_network_goes_on_from_what_a_stick_brought(site, online, control, stick):
    brought = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    apply(control, stick(), nothing)
    site.publisher.release("1.2.0")

    ending = check(control, nothing)

    assert ending.staged == ("demo 1.2.0",)
    assert blob_path(brought) not in site.web.paths()


def test_stick_that_is_older_than_what_the_device_knows_is_refused(site, online, control, stick):
    old = stick()
    site.publisher.release("1.1.0")
    check(control, nothing)

    ending = apply(control, old, nothing)

    assert isinstance(ending.error, MetadataRollbackError)
    assert "older than what this device has seen" in ending.error.hint
    assert exit_code_for(ending.error) is Exit.VERIFICATION_FAILED
    assert check(control, nothing).error is None


def test_failed_apply_leaves_no_trace_in_what_the_network_does(site, online, control, tmp_path):
    (tmp_path / "empty").mkdir()

    ending = apply(control, tmp_path / "empty", nothing)

    assert isinstance(ending.error, FileMissingError)
    assert "metadata/" in ending.error.hint
    wait_for(lambda: site.status().phase is Phase.IDLE)
    assert site.status().error is None


class Hand:
    """Somebody who speaks to the control socket step by step."""

    def __init__(self, control, request):
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(control)
        self.connection.send(encode_packet(request))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def hear(self):
        return decode_told(self.connection.recv(MAX_PACKET_BYTES))

    def hear_until(self, is_it):
        while not is_it(said := self.hear()):
            pass
        return said

    def offer(self, directory, *, until):
        """Open files until one is asked for whose path has this beginning; returns what was asked for."""
        with Beneath(directory) as beneath:
            while True:
                wanted = self.hear_until(lambda said: not isinstance(said, Step))
                if isinstance(wanted, Outcome) or (isinstance(wanted, OpenFile) and wanted.path.startswith(until)):
                    return wanted
                send_reply(self.connection, *find(beneath, wanted, only=None))


def test_edgectl_that_is_killed_ends_its_apply(site, offline, control, stick):
    directory = stick()
    with Hand(control, Apply()) as hand:
        hand.offer(directory, until="targets/")

    assert apply_when_free(control, directory).staged == ("demo 1.0.0",)


def apply_when_free(control, directory):
    """Apply, again as long as somebody else is at it."""
    while isinstance((ending := apply(control, directory, nothing)).error, UnavailableError):
        pass
    return ending


def test_who_brings_updates_and_says_nothing_is_given_up(site, control, stick):
    site.configure(update={"timeout_s": 0.2})
    with updating(site), Hand(control, Apply()) as hand:
        outcome = hand.hear_until(lambda said: isinstance(said, Outcome))

        assert outcome.failure.code == "host-unreachable"
        assert "timed out" in outcome.failure.message


def test_second_one_who_brings_updates_is_told_that_it_is_busy(site, offline, control, stick):
    directory = stick()
    with Hand(control, Apply()) as hand:
        hand.offer(directory, until="metadata/timestamp")

        busy = apply(control, directory, nothing).error

        assert isinstance(busy, UnavailableError)
        assert exit_code_for(busy) is Exit.BUSY
        with Beneath(directory) as beneath:
            send_reply(hand.connection, *find(beneath, OpenFile(path="metadata/timestamp.json"), only=None))
        assert hand.offer(directory, until="nothing").staged == ("demo 1.0.0",)


def test_stick_goes_before_a_download_that_hangs_and_that_goes_on_afterwards(site, gate, control, stick):
    """A slow network is when people come with sticks."""
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    directory = stick()
    site.web.faults[blob_path(manifest)] = Fault(stall_after=10)
    with updating(site):
        wait_for(lambda: site.status().phase is Phase.DOWNLOADING)

        assert apply(control, directory, nothing).staged == ("demo 1.1.0",)

        site.web.heal()
        wait_for(lambda: site.status().phase is Phase.IDLE)
        assert site.status().error is None


def test_stop_comes_through_while_a_stick_is_read(site, gate, control, stick):
    """Somebody holds up the stick in the middle of a file; the host's stop is here all the same, and the stick goes on where it was."""
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    directory = stick()
    site.configure(poll_interval_s=0.2)
    site.web.faults[blob_path(manifest)] = Fault(stall_after=10)
    with updating(site), Hand(control, Apply()) as hand:
        wanted = hand.offer(directory, until="blobs/")

        stop = Operator(site.publisher).stop("demo", serial=1)

        wait_for((site.store / "ops/stop.json").is_file)
        assert (site.store / "ops/stop.json").read_bytes() == stop
        with Beneath(directory) as beneath:
            send_reply(hand.connection, *find(beneath, wanted, only=None))
        assert hand.offer(directory, until="nothing").staged == ("demo 1.1.0",)
        # What the stick says about stops, which is older, changes nothing, and the device goes on with what the host has.
        assert (site.store / "ops/stop.json").read_bytes() == stop
        assert check(control, nothing).error is None


def test_stop_comes_through_while_the_metadata_of_a_stick_is_read(site, gate, control, stick):
    """Two refreshes must not use the metadata at once: the stick is begun again, and is then older than what the device has seen."""
    site.configure(poll_interval_s=0.2)
    directory = stick()
    with updating(site):
        wait_for(lambda: site.status().last_success_at)
        with Hand(control, Apply()) as hand:
            wanted = hand.offer(directory, until="metadata/timestamp")

            Operator(site.publisher, "demo").stop("demo", serial=1)

            wait_for((site.store / "ops/stop.json").is_file)
            with Beneath(directory) as beneath:
                # Late: the one that asked for it is gone.
                send_reply(hand.connection, *find(beneath, wanted, only=None))
            outcome = hand.offer(directory, until="nothing")

    assert outcome.failure.code == "metadata-rollback"
    assert (site.store / "ops/stop.json").is_file()


def test_stick_with_what_the_host_has_is_taken_after_a_look_at_the_host(site, gate, control, stick):
    """Held up before it is known to be as new as the host; nothing of it is refused afterwards."""
    site.configure(poll_interval_s=0.2)
    with updating(site):
        wait_for(lambda: site.status().last_success_at)
        with Hand(control, Apply()) as hand:
            wanted = hand.offer(site.publisher.root, until="metadata/")
            manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
            directory = stick()
            site.web.faults[blob_path(manifest)] = Fault(stall_after=10)
            wait_for(lambda: "1.1.0" in (site.store / "ops/rollout.json").read_text())
            with Beneath(directory) as beneath:
                send_reply(hand.connection, *find(beneath, wanted, only=None))

            assert hand.offer(directory, until="nothing").staged == ("demo 1.1.0",)


def test_check_during_a_download_sees_it_and_is_answered_by_the_poll_after_it(site, gate, control):
    manifest = site.publisher.release("1.1.0", model_bytes=THREE_CHUNKS)
    site.web.faults[blob_path(manifest)] = Fault(stall_after=10)
    with updating(site):
        wait_for(lambda: site.status().phase is Phase.DOWNLOADING)
        with Hand(control, Check()) as hand:
            assert hand.hear().phase is Phase.DOWNLOADING
            site.web.heal()

            outcome = hand.hear_until(lambda said: isinstance(said, Outcome))

    assert (outcome.staged, outcome.failure) == (("demo 1.1.0",), None)
    asked = site.web.paths()
    assert asked.index(blob_path(manifest)) < len(asked) - 1 - asked[::-1].index("metadata/timestamp.json")
