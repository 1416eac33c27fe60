"""Feature flags for apps: over HTTP, for clients, and for people."""

import asyncio
import json

import pytest

from edged.cli import edgectl
from edged.client import Client
from edged.client.aio import AsyncClient
from edged.errors import ModelUnknownError
from tests.fakes.flags import FakeFlags
from tests.fakes.raw_http import request, running
from tests.fakes.stoppable import stoppable

FLAGS = {"fast": True, "limit": 5, "share": 0.5, "theme": "dark"}


@pytest.fixture
def flags():
    return FakeFlags(**FLAGS)


@pytest.fixture
async def server(tmp_path, flags):
    async with running(tmp_path / "s", flags=flags) as server:
        yield server


async def edge(server, *args):
    return await asyncio.to_thread(edgectl.main, ["--socket", str(server.path), *args])


async def test_all_flags_and_each_of_them_can_be_read(server):
    everything = await server.ask(request("GET", "/edged/v1/flags"))
    one = await server.ask(request("GET", "/edged/v1/flags/share"))

    assert everything.json() == {"schema": 1, "flags": FLAGS}
    assert one.json() == {"schema": 1, "name": "share", "value": 0.5}


async def test_flag_that_is_not_in_force_is_unknown(server):
    reply = await server.ask(request("GET", "/edged/v1/flags/slow"))

    assert (reply.status, reply.json()["type"]) == (404, "urn:edged:error:flag-unknown")


@pytest.mark.parametrize("path", ["/edged/v1/flags", "/edged/v1/flags/limit"])
async def test_what_has_not_changed_is_not_sent_again(server, flags, path):
    first = await server.ask(request("GET", path))
    tag = first.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await server.ask(request("GET", path, headers=f"If-None-Match: {known}\r\n"))
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)

    flags.flags = FLAGS | {"limit": 6}
    changed = await server.ask(request("GET", path, headers=f"If-None-Match: {tag}\r\n"))
    assert (changed.status, changed.headers["etag"] != tag) == (200, True)


async def test_clients_have_them_as_values(server):
    def read():
        with Client(str(server.path)) as client:
            return client.flags()

    assert await asyncio.to_thread(read) == FLAGS
    async with AsyncClient(str(server.path)) as client:
        assert await client.flags() == FLAGS


async def test_people_see_them(server, flags, capsys):
    assert await edge(server, "flags") == 0
    assert capsys.readouterr().out.split() == [
        "FLAG", "VALUE", "fast", "true", "limit", "5", "share", "0.5", "theme", "dark"
    ]  # fmt: skip
    assert await edge(server, "flags", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "flags": FLAGS}
    assert await edge(server, "flags", "fast") == 0
    assert capsys.readouterr().out == "true\n"
    assert await edge(server, "flags", "fast", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "name": "fast", "value": True}
    assert await edge(server, "flags", "slow") == 5
    assert "flag-unknown" in capsys.readouterr().err
    flags.flags = {}
    assert await edge(server, "flags") == 0
    assert capsys.readouterr().out == "No feature flag is in force on this device.\n"


def test_flags_of_the_fleet_change_on_a_device_that_runs_and_outlive_the_store(tmp_path):
    with stoppable(tmp_path) as fleet:
        fleet.device.configure({"device.labels": {"region": "eu"}})
        rule = {"value": "eu", "segments": [{"labels": {"region": ["eu"]}}]}
        fleet.documents.flags(place={"default": "elsewhere", "rules": [rule]})
        fleet.device.start()
        assert fleet.get("/edged/v1/flags")["flags"] == {"place": "eu"}

        fleet.documents.flags(place={"default": "elsewhere"}, more={"default": 1})
        fleet.wait_until(lambda: fleet.get("/edged/v1/flags")["flags"] == {"more": 1, "place": "elsewhere"}, "change")
        fleet.documents.write(fleet.device.layout.flags, b"damaged")
        fleet.wait_until(lambda: "document-refused" in fleet.history, "complaint")
        fleet.device.stop()
        fleet.device.start()
        assert fleet.get("/edged/v1/flags")["flags"] == {"more": 1, "place": "elsewhere"}
        assert fleet.history.count("flag-changed") == 3
        with fleet.client() as client, pytest.raises(ModelUnknownError):
            client.infer("adder", {"file": b"x"})
