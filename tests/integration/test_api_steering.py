"""What administrators tell the device: typed, strict, on their own socket, and with their name on it."""

import os
import pwd

import pytest

from edged.api.description.operations import OPERATIONS
from edged.api.endpoints.steering import SteeringRoutes
from edged.config.schema import PathsConfig
from edged.errors import StoreError
from tests.fakes.raw_http import post, request, running
from tests.fakes.steered import FakeUpdates

ROLLBACK, APPLY, HISTORY = "/edged/v1/update/rollback", "/edged/v1/update/apply", "/edged/v1/history"
ME = f"operator {pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"


@pytest.fixture
def updates():
    return FakeUpdates()


@pytest.fixture
async def server(tmp_path, updates):
    async with running(tmp_path / "s", routes=SteeringRoutes(updates).routes()) as server:
        yield server


async def test_a_rollback_says_which_version_answers_and_who_asked_for_it(server, updates):
    reply = await server.ask(post(ROLLBACK, {"model": "echo", "reason": "wrong at night"}))

    assert (reply.status, reply.json()) == (200, {"schema": 1, "model": "echo", "version": "1.2.2"})
    (entry,) = updates.entries
    assert (entry.version, entry.cause, entry.reason) == ("1.2.3", ME, "wrong at night")


async def test_apply_takes_what_is_rolled_out_or_the_version_that_is_named(server, updates):
    for body in ({"model": "echo"}, {"model": "echo", "version": "1.3.0"}, {"model": "echo", "version": None}):
        reply = await server.ask(post(APPLY, body))
        assert (reply.status, reply.json()["version"]) == (200, "1.3.0")

    assert {entry.cause for entry in updates.entries} == {ME}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (ROLLBACK, {"model": "nobody", "reason": "x"}, 404, "model-unknown"),
        (ROLLBACK, {"model": "pair", "reason": "x"}, 409, "nothing-to-do"),
        (APPLY, {"model": "echo", "version": "9.9.9"}, 404, "model-unknown"),
        (APPLY, {"model": "echo", "version": "1.2.3"}, 409, "nothing-to-do"),
        (APPLY, {"model": "pair"}, 403, "not-permitted"),
    ],
)
async def test_what_cannot_be_done_keeps_its_code(server, updates, path, body, status, code):
    reply = await server.ask(post(path, body))

    assert (reply.status, reply.json()["type"]) == (status, f"urn:edged:error:{code}")
    assert updates.entries == []


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.is_for_admins], ids=lambda operation: operation.id
)
async def test_an_app_that_asks_what_is_for_administrators_is_told_where_that_is(tmp_path, operation):
    async with running(tmp_path / "app") as server:
        reply = await server.ask(request(operation.method.upper(), operation.path))

    assert (reply.status, reply.json()["type"]) == (404, "urn:edged:error:path-unknown")
    assert PathsConfig().admin_socket in reply.json()["hint"]


@pytest.mark.parametrize("path", ["/nothing", "/edged/v1/history/more", HISTORY + "/"])
async def test_what_is_nowhere_is_not_said_to_be_for_administrators(tmp_path, path):
    async with running(tmp_path / "app") as server:
        reply = await server.ask(request("GET", path))

    assert (reply.status, reply.json()["type"]) == (404, "urn:edged:error:path-unknown")
    assert "/openapi.json" in reply.json()["hint"]


async def test_a_disk_that_refuses_is_a_failure_of_the_device(server, updates):
    updates.failure = StoreError("The state cannot be written.", hint="Free some disk.")

    reply = await server.ask(post(ROLLBACK, {"model": "echo", "reason": "x"}))

    assert (reply.status, reply.json()["hint"]) == (500, "Free some disk.")


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (ROLLBACK, {"model": "echo"}, ""),
        (ROLLBACK, {"model": "echo", "reason": ""}, "/reason"),
        (ROLLBACK, {"model": "echo", "reason": "x" * 501}, "/reason"),
        (ROLLBACK, {"model": "../x", "reason": "x"}, "/model"),
        (ROLLBACK, {"model": "echo", "reason": "x", "force": True}, ""),
        (APPLY, {"model": "echo", "version": "latest"}, "/version"),
        (APPLY, {"model": ["echo"]}, "/model"),
        (APPLY, ["echo"], ""),
    ],
)
async def test_a_body_that_is_not_as_described_is_refused_with_its_place(server, updates, path, body, pointer):
    reply = await server.ask(post(path, body))

    assert (reply.status, reply.json().get("pointer", "")) == (400, pointer)
    assert updates.entries == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 3000])
async def test_what_is_no_json_is_refused(server, body):
    assert (await server.ask(request("POST", APPLY, body=body))).status == 400


async def test_history_is_newest_first_of_one_model_or_all(server):
    await server.ask(post(APPLY, {"model": "echo"}))
    await server.ask(post(ROLLBACK, {"model": "echo", "reason": "x"}))

    async def entries(query=""):
        return [entry["what"] for entry in (await server.ask(request("GET", HISTORY + query))).json()["entries"]]

    assert (
        await entries() == await entries("?model=echo") == await entries("?model=") == ["rolled-back", "window-opened"]
    )
    assert await entries("?limit=1") == ["rolled-back"]
    assert await entries("?model=pair&limit=1000") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=many",
        "limit=-1",
        f"limit={'9' * 4400}",
        "limit=1&limit=2",
        "model=A%20B",
        "nodel=x",
    ],
)
async def test_a_query_that_is_not_as_described_is_refused(server, query):
    assert (await server.ask(request("GET", f"{HISTORY}?{query}"))).status == 400


@pytest.mark.parametrize("path", [ROLLBACK, APPLY, HISTORY])
async def test_the_apps_socket_has_none_of_it(tmp_path, path):
    async with running(tmp_path / "app") as server:
        assert (await server.ask(post(path, {}))).status == 404
        assert (await server.ask(request("GET", path))).status == 404


async def test_each_path_takes_its_own_method_only(server):
    for data in (request("GET", ROLLBACK), request("GET", APPLY), post(HISTORY, {})):
        assert (await server.ask(data)).status == 405
