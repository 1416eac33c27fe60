"""What is lent to a worker comes back exactly once, and a worker that ignores its deadlines is found out, whatever it says."""

import asyncio
import os
import socket
import struct

import pytest

from edged.errors import UnavailableError, WorkerLostError
from edged.host.channel import make_pair
from edged.host.lender import Client, Lender, Loss
from edged.runtime.board import SIZE, WorkerBoard
from edged.runtime.lending import SLOTS, TO_BORROWER, Adopt, Amend, Board, Lease, Returned, Revoke
from edged.runtime.wire import WireError, decode, encode
from tests.fakes.patience import PATIENCE_S

LEASE = Lease(deadline_s=10.0)
INFER = struct.Struct("<IHHQ")


class FarEnd:
    """The worker's end of the channel, played by a test."""

    def __init__(self) -> None:
        near, self.channel = make_pair()
        self.channel.settimeout(PATIENCE_S)
        self.faults: list[WireError | None] = []
        self.lender = Lender(near, broken=self.faults.append)
        self.connection, self.memory = socket.socketpair()
        self.ends: list[object] = []
        self.board: WorkerBoard
        self.board_file = -1

    def lend(self, lease: Lease = LEASE) -> int:
        client = Client(
            connection=self.connection.fileno(),
            memory=self.memory.fileno(),
            memory_bytes=4096,
            uid=7,
            is_background=True,
            wants_scales=True,
        )
        return self.lender.lend(client, lease, self.ends.append)

    def told(self):
        """The next message, with its descriptors."""
        data, descriptors, _, _ = socket.recv_fds(self.channel, 4096, 4)
        message = decode(TO_BORROWER, data)[0]
        if isinstance(message, Board):
            (self.board_file,) = descriptors
            self.board = WorkerBoard(self.board_file)
        else:
            for descriptor in descriptors:
                os.close(descriptor)
        return message, len(descriptors)

    def run(self, slot: int, request: int, *, began_s: float = 0.0, deadline_s: float = 0.0) -> None:
        """Write down that a request is under way."""
        place = self.board.slot(slot)
        INFER.pack_into(place.header, 0, 100, 3, 0, request)
        place.begin(began_ns=int(began_s * 1e9), deadline_ns=int(deadline_s * 1e9))

    async def say(self, datagram: bytes) -> None:
        self.channel.send(datagram)
        for _ in range(3):
            await asyncio.sleep(0)

    async def give_back(self, number: int, why: str = "revoked") -> None:
        await self.say(b"".join(encode(Returned(connection=number, why=why))))

    def end(self) -> None:
        self.lender.drain()
        self.lender.end_all(lambda: WorkerLostError("gone"))

    def close(self) -> None:
        self.end()
        self.channel.close()
        self.connection.close()
        self.memory.close()
        if self.board_file >= 0:
            os.close(self.board_file)


@pytest.fixture
async def far():
    far = FarEnd()
    yield far
    far.close()


@pytest.fixture
def clock(monkeypatch):
    """Monotonic seconds that stand still until a test sets them."""
    times = {"now": 1000.0}
    monkeypatch.setattr("edged.host.lender.time.monotonic", lambda: times["now"])
    return times


async def test_a_connection_goes_over_with_its_memory_behind_the_board(far):
    number = far.lend()

    assert far.told() == (Board(), 1)
    message, descriptors = far.told()
    assert message == Adopt(
        connection=number,
        slot=message.slot,
        memory_bytes=4096,
        uid=7,
        is_background=True,
        wants_scales=True,
        lease=LEASE,
    )
    assert descriptors == 2
    far.lend()
    assert isinstance(far.told()[0], Adopt), "the board goes over once"


@pytest.mark.parametrize("why", ["revoked", "closed", "refused", "unusable"])
async def test_what_comes_back_is_told_with_the_reason(far, why):
    number = far.lend()
    await far.give_back(number, why)

    assert far.ends == [why]
    far.end()
    assert far.ends == [why]


async def test_slots_are_used_again_and_numbers_are_not(far):
    first = far.lend()
    far.told()
    slot = far.told()[0].slot
    await far.give_back(first)
    slots, numbers = set(), set()
    for _ in range(SLOTS):
        numbers.add(far.lend())
        slots.add(far.told()[0].slot)

    assert slot in slots
    assert slots == set(range(SLOTS))
    assert first not in numbers
    with pytest.raises(UnavailableError, match=f"{SLOTS} connections"):
        far.lend()


async def test_other_terms_are_told_once_and_only_if_they_are_others(far):
    number = far.lend()
    far.told()
    far.told()
    other = Lease(deadline_s=5.0, rate_per_s=1.0, burst=2)
    for lease in (LEASE, other, other):
        far.lender.amend(number, lease)
    far.lender.amend(number + 1, LEASE)
    far.lender.revoke(number, is_urgent=False)

    assert far.told()[0] == Amend(connection=number, lease=other)
    assert far.told()[0] == Revoke(connection=number)


async def test_a_connection_is_asked_back_once_and_once_more_when_it_becomes_urgent(far):
    number = far.lend()
    far.told()
    far.told()
    for is_urgent in (False, False, True):
        far.lender.revoke(number, is_urgent=is_urgent)
    far.lender.amend(number, Lease(deadline_s=1.0))

    assert far.told()[0] == Revoke(connection=number)
    assert far.told()[0] == Revoke(connection=number, is_urgent=True)
    assert isinstance(far.told()[0], Amend)


@pytest.mark.parametrize("number", [1, 2, 99])
async def test_a_worker_that_gives_back_what_it_does_not_have_breaks_the_protocol(far, number):
    await far.give_back(far.lend())
    await far.give_back(number)

    assert far.ends == ["revoked"]
    assert isinstance(far.faults[0], WireError)


async def test_what_no_worker_says_breaks_the_protocol(far):
    await far.say(b"\\0\\0\\0\\0garbage")

    assert isinstance(far.faults[0], WireError)


async def test_the_end_of_a_worker_tells_which_requests_ended_with_it(far):
    far.lend()
    far.lend()
    far.told()
    slots = [far.told()[0].slot for _ in range(2)]
    far.run(slots[1], 42)
    far.end()

    assert [(type(loss), loss.request, loss.error.code) for loss in far.ends] == [
        (Loss, 0, "worker-lost"),
        (Loss, 42, "worker-lost"),
    ]
    with pytest.raises(UnavailableError):
        far.lend()


async def test_what_a_worker_said_before_its_end_counts(far):
    number = far.lend()
    far.told()
    far.told()
    far.channel.send(b"".join(encode(Returned(connection=number, why="closed"))))
    far.end()

    assert far.ends == ["closed"]


async def test_counts_can_be_read_after_the_end(far):
    assert not any(far.lender.counts())
    far.lend()
    far.told()
    far.board.finished("ok", total_ns=1, queue_ns=0, run_ns=1)
    far.end()

    assert far.lender.counts()[0] == 1


async def test_a_board_that_is_cut_short_says_nothing(far):
    """A worker may do that to a file that it can write; reading it must not end the daemon."""
    far.lend()
    far.told()
    slot = far.told()[0].slot
    far.run(slot, 42)
    far.board.finished("ok", total_ns=1, queue_ns=0, run_ns=1)
    assert far.lender.running() == 1
    for size in (SIZE - 1, 100, 0):
        os.ftruncate(far.board_file, size)
        assert not any(far.lender.counts())
        assert far.lender.running() <= 1
        assert not far.lender.is_stuck(grace_s=1e6)


async def test_a_worker_is_stuck_when_a_request_goes_on_beyond_its_own_deadline(far, clock):
    far.lend()
    far.told()
    far.run(far.told()[0].slot, 1, began_s=1000.0, deadline_s=1002.0)

    for now_s, is_stuck in ((1000.0, False), (1006.9, False), (1007.1, True)):
        clock["now"] = now_s
        assert far.lender.is_stuck(grace_s=5.0) is is_stuck


@pytest.mark.parametrize("deadline_s", [0.0, 1e9])
async def test_a_worker_cannot_get_more_time_by_what_it_writes(far, clock, deadline_s):
    """What was seen for longer than the lease allows is over, whatever the deadline beside it says."""
    far.lend()
    far.told()
    far.run(far.told()[0].slot, 1, began_s=1000.0, deadline_s=deadline_s)

    for now_s, is_stuck in ((1000.0, False), (1014.9, False), (1015.1, True)):
        clock["now"] = now_s
        assert far.lender.is_stuck(grace_s=5.0) is is_stuck


async def test_a_worker_that_gets_on_is_not_stuck(far, clock):
    """Requests may all have the same number: when they began tells them apart."""
    far.lend()
    far.told()
    slot = far.told()[0].slot
    for i in range(100):
        clock["now"] = 1000.0 + 9.0 * i
        far.run(slot, 1, began_s=clock["now"], deadline_s=clock["now"] + 10.0)
        assert not far.lender.is_stuck(grace_s=5.0)
