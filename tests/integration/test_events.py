"""The stream of events on a real socket: replay, heartbeat, slow readers, limits, and the end."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from edged.api.endpoints import events as module
from edged.api.endpoints.events import MAX_STREAMS_PER_USER, EventStreams
from edged.api.event_log import Events
from tests.fakes.patience import PATIENCE_S
from tests.fakes.raw_http import request, running

PATH = "/edged/v1/events"


class Listener:
    """One stream, read event by event."""

    def __init__(self, client, head):
        self.client = client
        self.head = head
        self._text = b""

    async def block(self) -> dict[str, str]:
        """Read up to the next empty line; comments are under the empty name."""
        async with asyncio.timeout(PATIENCE_S):
            while b"\n\n" not in self._text:
                self._text += await self._chunk()
        block, _, self._text = self._text.partition(b"\n\n")
        return dict(line.partition(":")[::2] for line in block.decode().replace(": ", ":").split("\n"))

    async def event(self) -> tuple[str, str, str]:
        """Read the next event: its type, ID and data."""
        while "event" not in (block := await self.block()):
            pass
        return block["event"], block.get("id", ""), block["data"]

    async def ends(self) -> bool:
        """Read the last chunk, with nothing left before it."""
        async with asyncio.timeout(PATIENCE_S):
            while chunk := await self._chunk():
                self._text += chunk
        return not self._text

    async def _chunk(self) -> bytes:
        size = int((await self.client.reader.readuntil(b"\r\n")).strip(), 16)
        return (await self.client.reader.readexactly(size + 2))[:-2]


@pytest.fixture
def events():
    return Events(epoch="a1", max_events=8)


@pytest.fixture
async def server(tmp_path, events):
    async with running(tmp_path / "s", routes=EventStreams(events).routes()) as server:
        yield server
        events.close()


@asynccontextmanager
async def listening(server, *, last_id="", query=""):
    headers = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
    async with server.connect() as client:
        await client.send(request("GET", PATH + query, headers=headers))
        async with asyncio.timeout(PATIENCE_S):
            head = (await client.reader.readuntil(b"\r\n\r\n")).decode()
        listener = Listener(client, head)
        assert await listener.block() == {"retry": "1000"}
        yield listener


async def test_what_happens_is_told_as_it_happens(server, events):
    events.publish("slot", {"before": True})
    async with listening(server) as listener:
        events.publish("context", {"thermal": "serious"})

        assert await listener.event() == ("context", "a1-2", '{"thermal":"serious"}')
    assert listener.head.startswith("HTTP/1.1 200 ")
    assert "Content-Type: text/event-stream\r\n" in listener.head
    assert "Server: edged/" in listener.head


async def test_a_listener_that_comes_back_gets_what_it_missed(server, events):
    for number in range(4):
        events.publish("slot", number)
    async with listening(server, last_id="a1-2") as listener:
        assert [await listener.event() for _ in range(2)] == [("slot", "a1-3", "2"), ("slot", "a1-4", "3")]


@pytest.mark.parametrize("last_id", ["a1-1", "77-9", "rubbish", "a1-99"])
async def test_what_cannot_be_replayed_is_said_to_be_missed(server, events, last_id):
    """Overtaken by the ring, of another start of the daemon, or never given by anybody."""
    for number in range(10):
        events.publish("slot", number)
    async with listening(server, last_id=last_id) as listener:
        assert await listener.event() == ("missed", "", "{}")
        assert (await listener.event())[:2] == ("slot", "a1-3")


async def test_only_the_types_that_were_asked_for_are_told(server, events):
    async with listening(server, query="?types=slot,decision") as listener:
        for type_ in ("context", "slot", "update", "decision"):
            events.publish(type_, {})

        assert [(await listener.event())[0] for _ in range(2)] == ["slot", "decision"]


async def test_a_stream_that_does_not_follow_ends_with_what_is_known(server, events):
    events.publish("slot", 1)
    async with listening(server, last_id="a1-0", query="?follow=false") as listener:
        assert await listener.event() == ("slot", "a1-1", "1")
        assert await listener.ends()
        assert (await listener.client.ask(request("GET", "/v2/health/live"))).status == 200


@pytest.mark.parametrize("query", ["?types=slots", "?types=", "?follow=maybe", "?follow=true&follow=false", "?x=1"])
async def test_a_query_that_makes_no_sense_is_refused(server, query):
    reply = await server.ask(request("GET", PATH + query))

    assert (reply.status, reply.json()["type"]) == (400, "urn:edged:error:request-invalid")


async def test_head_is_answered_without_a_stream(server):
    async with server.connect() as client:
        await client.send(request("HEAD", PATH))
        reply = await client.reply(has_body=False)

        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert (await client.ask(request("GET", "/v2/health/live"))).status == 200


async def test_a_quiet_stream_has_a_heartbeat(tmp_path, events):
    async with running(tmp_path / "s", routes=EventStreams(events, heartbeat_s=0.01).routes()) as server:
        async with listening(server) as listener:
            assert [await listener.block() for _ in range(3)] == [{"": ""}] * 3
            events.publish("slot", {})
            assert (await listener.event())[0] == "slot"
        events.close()


async def test_a_slow_reader_is_dropped_and_told_so(server, events):
    """It stops reading while more happens than the ring and the socket hold; then reads on to a final event."""
    async with listening(server) as listener:
        listener.client.writer.transport.pause_reading()
        for number in range(400):
            events.publish("slot", f"{number:050000}")
            # As it would be: things happen one after the other, and the stream is written in between.
            await asyncio.sleep(0)
        listener.client.writer.transport.resume_reading()
        told = []
        while (event := await listener.event())[0] == "slot":
            told.append(event[1])

        assert event == ("dropped", "", "{}")
        assert await listener.ends()
    assert told == [events.id_of(number + 1) for number in range(len(told))]
    assert len(told) < 400


async def test_streams_end_when_the_daemon_stops(server, events):
    async with listening(server) as listener:
        events.close()

        assert await listener.event() == ("stopping", "", "{}")
        assert await listener.ends()


async def test_a_user_has_so_many_streams_and_gets_them_back(server):
    async with listening(server), listening(server), listening(server):
        async with listening(server):
            reply = await server.ask(request("GET", PATH))
            assert (reply.status, reply.json()["type"]) == (429, "urn:edged:error:quota-exceeded")
            assert "retry-after" in reply.headers
        async with asyncio.timeout(PATIENCE_S):
            while (await server.ask(request("GET", f"{PATH}?follow=false"))).status != 200:
                pass
    assert MAX_STREAMS_PER_USER == 4


async def test_all_users_together_have_so_many_streams(server, monkeypatch):
    monkeypatch.setattr(module, "MAX_STREAMS", 1)
    async with listening(server):
        reply = await server.ask(request("GET", PATH))

    assert (reply.status, reply.json()["type"]) == (503, "urn:edged:error:unavailable")


async def test_a_listener_that_leaves_is_forgotten(server, events):
    async with listening(server):
        assert len(events._waiting) == 1
    assert await server.is_left_alone()

    async with asyncio.timeout(PATIENCE_S):
        while events._waiting:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)
