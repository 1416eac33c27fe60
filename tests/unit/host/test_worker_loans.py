"""The handle of a worker that connections are lent to: what becomes of them when it ends, by itself or because it is stuck."""

import os
import socket
import struct

import pytest

from edged.errors import BackendError, WorkerLostError
from edged.host.lender import Client, Loss
from edged.runtime.board import WorkerBoard
from edged.runtime.lending import TO_BORROWER, Lease
from edged.runtime.memory import SharedMemory
from edged.runtime.wire import decode
from tests.fakes.far_ends import FarEnd
from tests.fakes.workers import spec_of, worker_spec

SPEC = worker_spec(b"model", [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))])
HEADER = struct.Struct("<IHHQ")


@pytest.fixture
async def far():
    far = FarEnd()
    yield far
    await far.close()


@pytest.fixture
def ends():
    return []


def lend(far, ends, **options):
    """Lend a connection; returns the worker's handle and the board's first slot that is in use."""
    worker = far.handle(SPEC, SharedMemory(max_bytes=lambda: 1 << 20), **options)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(
            connection=ours.fileno(),
            memory=theirs.fileno(),
            memory_bytes=1,
            uid=0,
            is_background=False,
            wants_scales=False,
        )
        worker.lender.lend(client, Lease(deadline_s=1000.0), ends.append)
    _, (board_file,), _, _ = socket.recv_fds(far.loans, 4096, 1)
    board = WorkerBoard(board_file)
    os.close(board_file)
    data, descriptors, _, _ = socket.recv_fds(far.loans, 4096, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    return worker, board.slot(decode(TO_BORROWER, data)[0].slot)


async def test_a_request_that_goes_on_long_after_its_deadline_ends_the_worker(far, ends):
    worker, slot = lend(far, ends, stop_within_s=5.0)
    HEADER.pack_into(slot.header, 0, 32, 3, 0, 42)
    slot.begin(began_ns=1, deadline_ns=2)

    worker.end_if_stuck()
    assert not worker.is_usable
    await far.death()
    assert not ends
    await far.report()
    (loss,) = ends
    assert (loss.request, type(loss.error)) == (42, WorkerLostError)
    assert "5 s after its deadline" in loss.error.message


async def test_a_worker_that_keeps_its_deadlines_is_left_alone(far, ends):
    worker, slot = lend(far, ends)
    slot.end()

    worker.end_if_stuck()
    assert worker.is_usable


async def test_the_end_of_the_template_is_no_fault_of_a_request(far, ends):
    _, slot = lend(far, ends)
    HEADER.pack_into(slot.header, 0, 32, 3, 0, 42)
    await far.report(None)

    (loss,) = ends
    assert isinstance(loss, Loss)
    assert isinstance(loss.error, BackendError)
    assert not isinstance(loss.error, WorkerLostError)
