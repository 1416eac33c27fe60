"""The gate on a real Unix socket; only the resolver and the connections behind it are the test's own."""

import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from edged import journal
from edged.egress.policy import Policy
from edged.egress.proxy import Gate, GateLimits, dial_tcp
from edged.sockets import bind_unix
from tests.fakes.gates import short_directory

POLICY = Policy(public=frozenset({("public.test", 443)}), private=frozenset({("private.test", 443)}))


class Net:
    """A resolver and a dialler that write down what they were asked."""

    def __init__(self, addresses, port=0):
        self.addresses = addresses
        self.port = port
        self.resolved = []
        self.dialled = []
        self.dead = set()

    async def resolve(self, name, port):
        self.resolved.append((name, port))
        if isinstance(self.addresses, Exception):
            raise self.addresses
        return self.addresses

    async def dial(self, address, port):
        self.dialled.append((address, port))
        if address in self.dead:
            raise ConnectionRefusedError(111, "Connection refused")
        if self.port == 0:
            await asyncio.Event().wait()
        return await dial_tcp("127.0.0.1", self.port)


@asynccontextmanager
async def gate_for(net, *, connect_timeout_s=60.0, idle_timeout_s=60.0, max_connections=4, drain_s=0.0, policies=None):
    limits = GateLimits(
        connect_timeout_s=connect_timeout_s, idle_timeout_s=idle_timeout_s, max_connections=max_connections
    )
    gate = Gate(policy=POLICY, limits=limits, policies=policies or {}, resolve=net.resolve, dial=net.dial)
    stop = asyncio.Event()
    with short_directory() as directory:
        path = directory / "proxy.sock"
        running = asyncio.create_task(gate.run(bind_unix(path, mode=0o600), stop, drain_s=drain_s))
        try:
            async with asyncio.timeout(60):
                yield gate, path, stop, running
        finally:
            stop.set()
            await running


@asynccontextmanager
async def echo_server():
    """Sends back what it gets, and says ``bye`` after the client's end of file."""

    async def echo(reader, writer):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write(b"bye")
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def connected(path):
    reader, writer = await asyncio.open_unix_connection(str(path))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def connect_to(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


async def ask(path, request: bytes) -> tuple[int, dict]:
    """Send a request and return the status and problem of an answer that ends the connection."""
    async with connected(path) as (reader, writer):
        writer.write(request)
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    return int(head.split()[1]), json.loads(body)


async def no_connection_is_open(gate):
    """Let the gate notice what the client has done; the deadline is that of ``gate_for``."""
    while gate.counters.open:  # noqa: ASYNC110 - the gate offers a counter, not an event
        await asyncio.sleep(0)


async def test_bytes_go_both_ways_and_ends_are_passed_on():
    """Half-close: the client's end reaches the server, whose last words still reach the client."""
    async with echo_server() as port:
        net = Net(["93.184.216.34"], port)
        async with gate_for(net) as (gate, path, *_), connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443") + b"early ")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
            payload = bytes(range(256)) * 4096
            writer.write(payload)
            writer.write_eof()

            assert await reader.read() == b"early " + payload + b"bye"
        assert gate.counters.tunnels == 1
        assert gate.counters.relayed_bytes == 2 * len(payload) + 15


async def test_name_is_resolved_once_and_the_checked_address_is_dialled():
    """DNS rebinding: a second look at the name could give another answer."""
    async with echo_server() as port:
        net = Net(["10.0.0.1", "93.184.216.34"], port)
        async with gate_for(net) as (_, path, *_), connected(path) as (reader, writer):
            writer.write(connect_to("PUBLIC.test.:443"))
            await reader.readuntil(b"\r\n\r\n")

        assert net.resolved == [("public.test", 443)]
        assert net.dialled == [("93.184.216.34", 443)]


async def test_a_user_with_a_list_of_its_own_reaches_that_and_nothing_else():
    """As the kernel knows the user: nothing that is sent could say otherwise."""
    own = Policy(public=frozenset({("endpoint.test", 443)}), private=frozenset())
    async with echo_server() as port:
        net = Net(["93.184.216.34"], port)
        async with gate_for(net, policies={os.getuid(): own}) as (_, path, *_):
            async with connected(path) as (reader, writer):
                writer.write(connect_to("endpoint.test:443"))
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            status, problem = await ask(path, connect_to("public.test:443"))
            assert (status, problem["reason"]) == (403, "name-not-listed")
        async with gate_for(net, policies={os.getuid() + 1: own}) as (_, path, *_):
            status, problem = await ask(path, connect_to("endpoint.test:443"))
            assert (status, problem["reason"]) == (403, "name-not-listed")


async def test_private_name_may_resolve_to_this_machine():
    async with echo_server() as port:
        net = Net(["127.0.0.1"], port)
        async with gate_for(net) as (_, path, *_), connected(path) as (reader, writer):
            writer.write(connect_to("private.test:443"))

            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_dead_address_is_followed_by_the_next():
    async with echo_server() as port:
        net = Net(["2606:4700::1", "93.184.216.34"], port)
        net.dead.add("2606:4700::1")
        async with gate_for(net) as (_, path, *_), connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443"))

            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("target", "addresses", "reason"),
    [
        ("other.test:443", ["8.8.8.8"], "name-not-listed"),
        ("public.test:80", ["8.8.8.8"], "port-not-listed"),
        ("8.8.8.8:443", ["8.8.8.8"], "raw-address"),
        ("[2606:4700::1]:443", ["8.8.8.8"], "raw-address"),
        ("0x08080808:443", ["8.8.8.8"], "raw-address"),
        ("public.test:443", ["127.0.0.1", "::1", "10.1.2.3", "::ffff:10.0.0.1"], "address-not-global"),
        ("private.test:443", ["0.0.0.0", "::"], "address-not-global"),
    ],
)
async def test_what_the_policy_refuses_is_answered_403_and_journalled(caplog, target, addresses, reason):
    net = Net(addresses)
    async with gate_for(net) as (gate, path, *_):
        status, problem = await ask(path, connect_to(target))

    assert (status, problem["reason"]) == (403, reason)
    assert net.dialled == []
    assert gate.counters.refused == 1
    (told,) = [r for r in caplog.records if getattr(r, "edged_message_id", "") == journal.EGRESS_REFUSED.message_id]
    assert told.edged_fields == {
        "host": target.rpartition(":")[0],
        "port": int(target.rpartition(":")[2]),
        "reason": reason,
    }


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"nonsense\r\n\r\n", 400),
        (b"CONNECT public.test:443 HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
        (b"CONNECT public.test:443 HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431),
        (b"CONNECT public.test:443 HTTP/1.1\r\nX: " + b"y" * 80_000, 431),
    ],
)
async def test_malformed_requests_are_answered(request_bytes, status):
    async with gate_for(Net([])) as (gate, path, *_):
        assert (await ask(path, request_bytes))[0] == status
        assert gate.counters.failed == 1


async def test_request_that_ends_early_is_answered_400():
    async with gate_for(Net([])) as (_, path, *_), connected(path) as (reader, writer):
        writer.write(b"CONNECT public")
        writer.write_eof()

        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_request_that_comes_too_slowly_is_answered_408():
    async with gate_for(Net([]), connect_timeout_s=0.01) as (_, path, *_):
        assert (await ask(path, b"CONNECT public"))[0] == 408


@pytest.mark.parametrize(
    ("addresses", "dead", "status", "reason"),
    [
        (socket.gaierror(-2, "Name or service not known"), (), 502, "name-not-resolved"),
        ([], (), 502, "connect-failed"),
        (["8.8.8.8"], ("8.8.8.8",), 502, "connect-failed"),
        (["8.8.8.8"], (), 504, "connect-timeout"),
        (["8.8.8.8", "1.1.1.1"], (), 504, "connect-timeout"),
    ],
)
async def test_destination_that_does_not_answer(addresses, dead, status, reason):
    net = Net(addresses)
    net.dead.update(dead)
    async with gate_for(net, connect_timeout_s=0.05) as (_, path, *_):
        answered, problem = await ask(path, connect_to("public.test:443"))

    assert (answered, problem["reason"]) == (status, reason)


async def test_one_connection_too_many_is_answered_503():
    async with echo_server() as port, gate_for(Net(["8.8.8.8"], port), max_connections=1) as (gate, path, *_):
        async with connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443"))
            await reader.readuntil(b"\r\n\r\n")
            status, problem = await ask(path, connect_to("public.test:443"))
            assert (status, problem["reason"]) == (503, "gate-busy")
        await no_connection_is_open(gate)
        async with connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_idle_tunnel_is_closed():
    async with echo_server() as port, gate_for(Net(["8.8.8.8"], port), idle_timeout_s=0.05) as (gate, path, *_):
        async with connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443"))
            await reader.readuntil(b"\r\n\r\n")

            assert await reader.read() == b""
        await no_connection_is_open(gate)


async def test_stop_lets_open_tunnels_finish():
    """New connections are no longer taken; the one under way gets its drain time."""
    async with echo_server() as port, gate_for(Net(["8.8.8.8"], port), drain_s=60.0) as (_, path, stop, running):
        async with connected(path) as (reader, writer):
            writer.write(connect_to("public.test:443"))
            await reader.readuntil(b"\r\n\r\n")
            stop.set()
            await asyncio.sleep(0)
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            writer.write_eof()
            assert await reader.read() == b"bye"
        await running


async def test_stop_ends_tunnels_that_do_not_finish():
    async with (
        echo_server() as port,
        gate_for(Net(["8.8.8.8"], port), drain_s=0.01) as (_, path, stop, running),
        connected(path) as (reader, writer),
    ):
        writer.write(connect_to("public.test:443"))
        await reader.readuntil(b"\r\n\r\n")
        stop.set()
        await running

        assert await reader.read() == b""
