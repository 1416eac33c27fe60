"""Clients of the tensor socket that do what no client should: each pays for itself, and the others are answered as ever."""

import asyncio
import fcntl
import os
import random
import socket
from contextlib import suppress

import numpy as np
import pytest

from edged.config.schema import CallerLimits, LimitsConfig, ServeConfig
from edged.tensor_socket import Error, Infer, Open, Opened, Placed, Result, Room, encode
from tests.fakes.fast_paths import MEMORY_BYTES, Client, adder, fast_path, make_memory, until
from tests.fakes.open_files import open_files
from tests.fakes.patience import PATIENCE_S

X = np.arange(8, dtype=np.float32).reshape(2, 4)
OPEN = encode(Open(model="adder"))


@pytest.fixture
async def fast(tmp_path):
    async with fast_path(tmp_path) as fast:
        await fast.put(adder())
        pid = fast.worker().pid
        yield fast
        # Whatever a test did: the worker is the same, and it answers.
        assert fast.worker().pid == pid
        async with fast.client() as client:
            assert (await client.ask({0: X}))[0].tolist() == (X + 1).tolist()


@pytest.fixture
def client(fast):
    client = Client(fast.path)
    yield client
    client.close()


@pytest.mark.parametrize(
    ("datagram", "complaint"),
    [
        (b"x", "header"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "header"),
        (OPEN[:-1], "header, size"),
        (OPEN + b"x", "header, size"),
        (b"\xff" * 70_000, "header, size"),
        (encode(Infer(request=1, inputs=(), outputs=(Room(index=0, offset=0, capacity=0),))), "OPEN"),
        (encode(Open(model="m" * 4096)), "no model"),
        (encode(Open(model="../../etc")), "no model"),
        (encode(Open(model="\u202e")), "no model"),
        (encode(Open(model="")), "no model"),
    ],
)
async def test_a_first_message_that_is_no_good_open_is_refused_and_the_connection_closed(client, datagram, complaint):
    error = await client.offer(datagram, [client.memory])

    assert isinstance(error, Error)
    assert (error.is_closing, error.request) == (True, 0)
    assert complaint in error.message
    assert await client.receive() is None


async def test_another_version_of_the_protocol_is_refused_with_a_code_of_its_own(client):
    datagram = bytearray(OPEN)
    datagram[16] = 2

    error = await client.offer(bytes(datagram), [client.memory])
    assert (error.status, error.code, error.is_closing) == (505, "version-unsupported", True)


@pytest.mark.parametrize("count", [0, 2, 5, 20])
async def test_open_comes_with_exactly_one_descriptor_and_no_other_is_kept(client, fast, count):
    before = open_files()
    error = await client.offer(OPEN, [client.memory] * count)

    assert (error.code, error.is_closing) == ("request-invalid", True)
    assert "exactly one descriptor" in error.message
    await until(lambda: not fast.sockets.connections)
    assert open_files() <= before


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: make_memory(4096, seals=0), "F_SEAL_SHRINK"),
        (lambda: make_memory(4096, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE), "cannot be written"),
        (lambda: make_memory(0), "empty"),
        (lambda: make_memory((128 << 20) + 1), "at most"),
        (lambda: os.open("/proc/self/exe", os.O_RDONLY), "cannot be sealed"),
        (lambda: os.open("/dev/zero", os.O_RDWR), "cannot be sealed"),
        (lambda: socket.socket(socket.AF_UNIX).detach(), "cannot be sealed"),
    ],
)
async def test_what_is_no_memory_to_share_is_refused(client, make, complaint):
    descriptor = make()
    error = await client.offer(OPEN, [descriptor])
    os.close(descriptor)

    assert error.is_closing
    assert complaint in error.message + error.hint


async def test_memory_that_is_sealed_between_check_and_use_costs_its_client_only(fast):
    """No answer could be written; the worker finds out when it maps it, or the seal comes too late."""
    for _ in range(20):
        client = Client(fast.path)
        client.map.close()
        socket.send_fds(client.connection, [OPEN], [client.memory])
        with suppress(PermissionError):  # it is mapped already
            fcntl.fcntl(client.memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        first = await client.receive()
        assert isinstance(first, Opened | Error)
        client.connection.close()
        os.close(client.memory)


async def test_a_client_that_says_nothing_is_let_go(fast):
    fast.config.serve = ServeConfig(header_timeout_s=0.05)
    client = Client(fast.path)
    error = await client.receive()

    assert (error.code, error.is_closing) == ("request-invalid", True)
    assert "in time" in error.message
    client.close()


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(fast):
    before = open_files()
    for i in range(60):
        client = Client(fast.path)
        if i % 3:
            socket.send_fds(client.connection, [OPEN], [client.memory])
        if i % 3 == 2:
            client.send(client.infer({0: X}))
        if i % 2:
            await asyncio.sleep(0)
        client.close()
    await until(lambda: not fast.sockets.connections)

    assert open_files() <= before
    await until(lambda: open_files(fast.worker().pid) < 16)


async def test_garbage_after_open_ends_the_connection_with_the_reason(fast):
    async with fast.client() as client:
        await client.ask({0: X})
        client.send(b"garbage" * 10)

        error = await client.receive()
        assert (error.code, error.status, error.is_closing) == ("request-invalid", 400, True)
        assert await client.receive() is None
    await until(lambda: not fast.sockets.connections)


async def test_mutated_requests_are_answered_or_end_their_connection(fast):
    """Six hundred of them; nobody hangs, and the worker never ends."""
    chance = random.Random(20261122)
    async with fast.client() as honest:
        client = None
        for _ in range(600):
            if client is None:
                client = Client(fast.path)
                await client.open()
            datagram = bytearray(encode(client.infer({0: X})))
            for _ in range(chance.randint(1, 4)):
                datagram[chance.randrange(len(datagram))] = chance.randrange(256)
            client.send(
                bytes(datagram[: chance.choice([len(datagram), len(datagram), chance.randint(1, len(datagram))])])
            )
            answer = await client.receive()
            assert isinstance(answer, Result | Error)
            if isinstance(answer, Error) and answer.is_closing:
                assert await client.receive() is None
                client.close()
                client = None
        assert (await honest.ask({0: X}))[0].tolist() == (X + 1).tolist()
        if client is not None:
            client.close()


async def test_a_flood_is_served_in_turn_with_the_others(fast):
    """Everything a client can put into its socket, again and again, while another asks."""
    async with fast.client() as flooding, fast.client() as honest:
        datagram = encode(flooding.infer({0: X}))
        answered = 0
        for _ in range(30):
            sent = flood(flooding, datagram)
            assert (await honest.ask({0: X}))[0].tolist() == (X + 1).tolist()
            for _ in range(sent):
                assert isinstance(await flooding.receive(), Result)
            answered += sent
        assert answered > 30


def flood(client: Client, datagram: bytes, most: int = 200) -> int:
    """Send for as long as the socket takes it; returns how many were sent."""
    for sent in range(most):
        try:
            client.connection.send(datagram)
        except BlockingIOError:
            return sent
    return most


async def test_a_flood_beyond_the_rate_is_refused_request_by_request(fast):
    fast.config.limits = LimitsConfig(default=CallerLimits(rate_per_s=0.001, burst=3))
    async with fast.client() as client:
        sent = flood(client, encode(client.infer({0: X})), 50)
        answers = [await client.receive() for _ in range(sent)]

        assert [type(answer) for answer in answers[:3]] == [Result] * 3
        assert {(answer.code, answer.status, answer.is_closing) for answer in answers[3:]} == {
            ("quota-exceeded", 429, False)
        }
        assert fast.stats().rejections == {"quota": sent - 3}
    # For the fixture's last look.
    fast.config.limits = LimitsConfig()


async def test_a_client_that_never_reads_loses_its_connection_and_holds_nobody_up(fast):
    async with fast.client() as deaf, fast.client() as honest:
        datagram = encode(deaf.infer({0: X}))
        async with asyncio.timeout(PATIENCE_S):
            while fast.sockets.connections == 2:
                try:
                    flood(deaf, datagram)
                except OSError:
                    break
                assert (await honest.ask({0: X}))[0].tolist() == (X + 1).tolist()
        await until(lambda: fast.sockets.connections == 1)


@pytest.mark.parametrize(
    "placed",
    [
        Placed(index=0, shape=(2, 4), offset=MEMORY_BYTES, size=32),
        Placed(index=0, shape=(2, 4), offset=2**64 - 64, size=32),
        Placed(index=0, shape=(2, 4), offset=0, size=2**64 - 1),
        Placed(index=0, shape=(2**45, 4), offset=0, size=2**49),
        Placed(index=0, shape=(0, 4), offset=0, size=0),
        Placed(index=2**32 - 1, shape=(2, 4), offset=0, size=32),
    ],
)
async def test_places_outside_of_the_memory_are_refused(fast, placed):
    async with fast.client() as client:
        room = Room(index=0, offset=MEMORY_BYTES // 2, capacity=4096)
        client.send(Infer(request=3, inputs=(placed,), outputs=(room,)))
        answer = await client.receive()

        assert answer.request == 3
        assert isinstance(answer, Result) == (placed.size == 0)
        assert (await client.ask({0: X}))[0].tolist() == (X + 1).tolist()


async def test_memory_that_grows_is_used_as_it_was(fast):
    async with fast.client() as client:
        os.ftruncate(client.memory, 4 * MEMORY_BYTES)
        with pytest.raises(PermissionError):
            os.ftruncate(client.memory, MEMORY_BYTES)
        room = Room(index=0, offset=MEMORY_BYTES, capacity=4096)
        client.send(Infer(request=1, inputs=client.infer({0: X}).inputs, outputs=(room,)))

        assert "past the end" in (await client.receive()).message


async def test_answers_over_ones_own_input_hurt_only_oneself(fast):
    async with fast.client() as client:
        request = client.infer({0: X})
        over = Room(index=0, offset=0, capacity=4096)
        client.send(Infer(request=1, inputs=request.inputs, outputs=(over,)))

        assert client.read(await client.receive())[0].tolist() == (X + 1).tolist()
