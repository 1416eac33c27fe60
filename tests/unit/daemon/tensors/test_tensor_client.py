"""One client of the tensor socket: it is where it belongs, whatever happens to its model, its worker and itself, and ends once."""

import random
import socket
from contextlib import suppress
from types import SimpleNamespace

import pytest

from edged.daemon.tensors.tensor_client import Opened, Target, TensorClient
from edged.errors import ModelStoppedError, ModelUnknownError, UnavailableError, WorkerLostError
from edged.host.lender import Loss
from edged.runtime.lending import Lease
from edged.tensor_socket import Datatype, Error, Kind, Notice, Open, TensorEntry, decode_to_client
from edged.tensor_socket.messages import MAX_MESSAGE_BYTES
from tests.fakes.fast_paths import make_memory

ENTRY = TensorEntry(kind=Kind.INPUT, index=0, name="x", datatype=Datatype.FP32, shape=(1,))
LOSS = WorkerLostError("the worker has ended")


class FakeLender:
    """What a worker was lent; it gives back when a test says so."""

    def __init__(self) -> None:
        self.ended = None
        self.lent = 0
        self.is_asked_back = False
        self.is_urgent = False
        self.error: UnavailableError | None = None
        self.leases: list[Lease] = []

    def lend(self, _client, lease, ended) -> int:
        if self.error is not None:
            raise self.error
        assert self.ended is None, "it has the connection already"
        self.lent += 1
        self.ended, self.is_asked_back, self.is_urgent = ended, False, False
        self.leases.append(lease)
        return self.lent

    def revoke(self, number, *, is_urgent) -> None:
        assert number == self.lent
        self.is_asked_back = True
        self.is_urgent |= is_urgent

    def amend(self, _number, lease) -> None:
        self.leases.append(lease)

    def give_back(self, why="revoked") -> None:
        ended, self.ended = self.ended, None
        ended(why)

    @property
    def has_it(self) -> bool:
        return self.ended is not None


def new_worker():
    return SimpleNamespace(lender=FakeLender())


class Bench:
    """A client, its model, and the other end of its connection."""

    def __init__(self, *, wants_scales: bool = False) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.settimeout(0)
        self.far.settimeout(0)
        self.served = SimpleNamespace(worker=new_worker())
        self.version, self.tensors = "1.0.0", (ENTRY,)
        self.error = None
        self.is_ending = False
        self.lease = Lease(deadline_s=1.0)
        self.losses: list[object] = []
        self.ends = 0
        self.released = 0
        opened = Opened(
            opening=Open(model="echo", wants_scales=wants_scales),
            caller=SimpleNamespace(uid=1000),
            connection=self.near,
            memory=make_memory(4096),
            memory_bytes=4096,
            admission=SimpleNamespace(release=self._release),
            target=self._find(None),
        )
        self.client = TensorClient(
            opened,
            find=self._find,
            lease=lambda _caller: self.lease,
            lent=lambda _served, _worker: None,
            lost=lambda _client, error: self.losses.append(error),
            moved=self._note_move,
        )

    def _find(self, _opening):
        if self.error is not None:
            raise self.error
        if self.is_ending:
            return None
        return Target(served=self.served, version=self.version, variant="v", tensors=self.tensors)

    def _release(self) -> None:
        self.released += 1

    def _note_move(self, client) -> None:
        self.ends += client.is_over

    def swap(self, version: str, *, tensors=(ENTRY,)) -> FakeLender:
        """Another version answers now; returns the lender of its worker."""
        self.served = SimpleNamespace(worker=new_worker())
        self.version, self.tensors = version, tensors
        self.client.settle()
        return self.lender

    @property
    def lender(self) -> FakeLender:
        return self.served.worker.lender

    def told(self):
        """What the client was told, and None at the end of it."""
        messages = []
        while True:
            try:
                data = self.far.recv(1 << 16)
            except BlockingIOError:
                return messages
            if not data:
                return [*messages, None]
            messages.append(decode_to_client(data))

    def close(self) -> None:
        self.far.close()
        if not self.client.is_over:
            self.error, self.served = UnavailableError("the test is over"), SimpleNamespace(worker=None)
            self.client._worker = None
            self.client.settle()
        assert (self.ends, self.released) == (1, 1)


@pytest.fixture
def bench():
    bench = Bench()
    bench.client.settle()
    yield bench
    bench.close()


def test_it_is_lent_to_the_worker_that_answers(bench):
    assert bench.lender.has_it
    assert bench.client.lent_by is bench.served
    bench.client.settle()
    assert (bench.lender.lent, bench.lender.is_asked_back) == (1, False)


def test_a_new_version_gets_it_when_the_old_one_has_given_it_back(bench):
    old = bench.lender
    new = bench.swap("2.0.0")
    assert (old.is_asked_back, old.is_urgent, new.has_it) == (True, False, False)

    old.give_back()
    assert new.has_it
    assert bench.told() == [Notice(version="2.0.0", variant="v")]


def test_the_version_that_answers_when_it_comes_back_gets_it(bench):
    old = bench.lender
    middle = bench.swap("2.0.0")
    newest = bench.swap("3.0.0")
    old.give_back()

    assert (middle.lent, newest.has_it) == (0, True)
    assert bench.told() == [Notice(version="3.0.0", variant="v")]


def test_a_version_with_other_tensors_ends_it(bench):
    old = bench.lender
    new = bench.swap("2.0.0", tensors=())
    old.give_back()

    (error, end) = bench.told()
    assert (error.code, error.is_closing, end, new.lent) == ("model-changed", True, None, 0)


def test_it_waits_while_its_model_has_no_worker(bench):
    old = bench.lender
    bench.served.worker = None
    old.give_back(Loss(error=LOSS, request=0))
    assert (bench.client.lent_by, bench.told(), bench.losses) == (None, [], [])

    bench.served.worker = new_worker()
    bench.client.settle()
    assert bench.lender.has_it


def test_the_request_that_was_under_way_in_a_lost_worker_is_answered(bench):
    old = bench.lender
    bench.served.worker = new_worker()
    old.give_back(Loss(error=LOSS, request=42))

    (error,) = bench.told()
    assert (error.request, error.code, error.status, error.is_closing) == (42, "worker-lost", 500, False)
    assert bench.losses == [LOSS]
    assert bench.lender.has_it


@pytest.mark.parametrize("why", ["closed", "refused"])
def test_what_the_worker_ended_is_closed(bench, why):
    bench.lender.give_back(why)

    assert bench.told() == [None]


def test_memory_that_cannot_be_used_is_told(bench):
    bench.lender.give_back("unusable")

    error, end = bench.told()
    assert (error.code, error.is_closing, end) == ("request-invalid", True, None)


def test_a_model_that_is_removed_ends_it_once_its_request_is_answered(bench):
    bench.error = ModelUnknownError("no such model")
    bench.client.settle()
    assert (bench.lender.is_asked_back, bench.lender.is_urgent, bench.told()) == (True, False, [])

    bench.lender.give_back()
    error, end = bench.told()
    assert (error.code, error.is_closing, end) == ("model-unknown", True, None)


def test_the_end_of_the_daemon_closes_it_without_a_word(bench):
    bench.is_ending = True
    bench.client.settle()
    bench.lender.give_back()

    assert bench.told() == [None]


def test_a_client_that_leaves_has_its_request_stopped_and_is_closed(bench):
    bench.client.leave()
    assert bench.lender.is_urgent
    bench.lender.give_back()

    assert bench.told() == [None]


def test_a_client_that_leaves_while_nobody_has_it_is_closed_at_once(bench):
    old = bench.lender
    bench.served.worker = None
    old.give_back(Loss(error=LOSS, request=0))
    bench.client.leave()

    assert bench.client.is_over


def test_a_worker_that_takes_no_more_ends_it_with_the_reason(bench):
    old = bench.lender
    bench.served = SimpleNamespace(worker=new_worker())
    bench.lender.error = UnavailableError("too many connections")
    bench.client.settle()
    old.give_back()

    error, end = bench.told()
    assert (error.code, error.is_closing, end) == ("unavailable", True, None)


def test_limits_follow_it(bench):
    bench.lease = Lease(deadline_s=2.0)
    bench.client.amend()

    assert bench.lender.leases == [Lease(deadline_s=1.0), Lease(deadline_s=2.0)]


@pytest.fixture
def scaled():
    """A client that takes scales."""
    bench = Bench(wants_scales=True)
    bench.client.settle()
    yield bench
    bench.close()


def wish(bench, scale: float) -> None:
    """Another scale is asked for from now on."""
    bench.lease = Lease(deadline_s=1.0, scale=scale)
    bench.client.amend()


def test_a_client_that_takes_scales_is_told_each_time_another_is_asked_for(scaled):
    assert scaled.client.told_permille == 1000
    for scale in (1.0, 0.5, 0.5, 1.0):
        wish(scaled, scale)

    assert [(told.version, told.wanted_permille) for told in scaled.told()] == [("1.0.0", 500), ("1.0.0", 1000)]


def test_a_client_that_takes_none_hears_of_no_scale(bench):
    """To it a NOTICE means that its model was replaced."""
    wish(bench, 0.5)
    bench.swap("2.0.0")
    bench.client._worker.lender.give_back()

    assert bench.told() == [Notice(version="2.0.0", variant="v", wanted_permille=0)]


def test_a_replaced_model_and_another_scale_are_told_together(scaled):
    old = scaled.lender
    scaled.swap("2.0.0")
    scaled.lease = Lease(deadline_s=1.0, scale=0.25)
    old.give_back()
    scaled.client.amend()

    assert scaled.told() == [Notice(version="2.0.0", variant="v", wanted_permille=250)]


def test_a_scale_that_is_asked_for_while_nobody_has_it_is_told_afterwards(scaled):
    old = scaled.lender
    scaled.served.worker = None
    old.give_back(Loss(error=LOSS, request=0))
    wish(scaled, 0.5)
    assert scaled.told() == []

    scaled.served.worker = new_worker()
    scaled.client.settle()
    scaled.client.amend()
    assert scaled.told() == [Notice(version="1.0.0", variant="v", wanted_permille=500)]


def test_a_client_that_does_not_read_keeps_its_room_for_answers_and_is_told_the_newest_scale_once_it_reads(scaled):
    for i in range(2000):
        wish(scaled, 0.25 if i % 2 else 0.5)
    scaled.near.send(bytes(MAX_MESSAGE_BYTES))
    wish(scaled, 0.75)

    notices = []
    while len(data := scaled.far.recv(MAX_MESSAGE_BYTES)) < MAX_MESSAGE_BYTES:
        notices.append(decode_to_client(data).wanted_permille)
    assert 1 < len(notices) < 200
    scaled.client.amend()
    assert [told.wanted_permille for told in scaled.told()] == [750]


def test_a_scale_that_there_was_no_room_to_tell_is_told_later(scaled):
    """Also where it went with the news of another version."""
    old = scaled.lender
    with suppress(BlockingIOError):
        while True:
            scaled.near.send(bytes(4096))
    scaled.lease = Lease(deadline_s=1.0, scale=0.5)
    scaled.swap("2.0.0")
    old.give_back()
    with suppress(BlockingIOError):
        while True:
            assert scaled.far.recv(4097) == bytes(4096)
    scaled.client.amend()

    assert scaled.told() == [Notice(version="2.0.0", variant="v", wanted_permille=500)]


def test_what_is_unread_at_the_end_does_not_hide_what_was_told(bench):
    """A socket that is closed with something unread in it resets the other end."""
    bench.far.send(b"unread")
    bench.error = ModelUnknownError("no such model")
    bench.client.settle()
    bench.lender.give_back()

    assert [type(message) for message in bench.told()] == [Error, type(None)]


class Walk:
    """Everything that can happen to a client, in any order."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.lenders = [bench.lender]

    def swap(self) -> None:
        self.lenders.append(self.bench.swap(f"1.{len(self.lenders)}.0"))

    def come_back(self) -> None:
        for lender in [lender for lender in self.lenders if lender.has_it and lender.is_asked_back]:
            lender.give_back()

    def lose(self) -> None:
        self.bench.served.worker = None
        for lender in [lender for lender in self.lenders if lender.has_it]:
            lender.give_back(Loss(error=LOSS, request=5))

    def start(self) -> None:
        self.bench.served.worker = new_worker()
        self.lenders.append(self.bench.lender)
        self.bench.client.settle()

    def settle(self) -> None:
        self.bench.client.settle()

    def hurry(self) -> None:
        self.bench.client.hurry()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_only_one_worker_has_it_and_it_ends_once(seed):
    """In the end the client leaves, and everything is let go of."""
    chance = random.Random(seed)
    bench = Bench()
    bench.client.settle()
    walk = Walk(bench)
    for _ in range(60):
        chance.choice([walk.swap, walk.come_back, walk.lose, walk.start, walk.settle, walk.hurry])()
        assert sum(lender.has_it for lender in walk.lenders) <= 1
        assert not bench.client.is_over
    bench.client.leave()
    walk.come_back()

    assert bench.client.is_over
    bench.close()


def test_a_client_that_is_refused_is_told_at_once_and_gets_nothing_more(bench):
    """Its worker may be in the middle of a request: that is stopped, and no answer to it is waited for."""
    lender = bench.lender
    bench.client.refuse(ModelStoppedError("wrong on snow", retry_after_s=7))
    assert (lender.is_asked_back, lender.is_urgent) == (True, True)
    (error,) = bench.told()
    assert (error.code, error.is_closing, error.retry_after_ms) == ("model-stopped", True, 7000)

    bench.client.refuse(ModelStoppedError("again"))
    lender.give_back()
    assert (bench.told(), bench.client.is_over) == ([None], True)


def test_a_client_at_hand_that_is_refused_is_closed(bench):
    bench.served.worker = None
    bench.client.settle()
    bench.client._worker.lender.give_back()
    assert not bench.client.is_over
    bench.client.refuse(ModelStoppedError("wrong on snow"))

    assert bench.client.is_over
    assert [None if message is None else message.code for message in bench.told()] == ["model-stopped", None]
