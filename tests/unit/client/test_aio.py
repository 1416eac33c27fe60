"""What the client for asyncio does; answers and errors are those of the blocking one."""

import asyncio

import pytest

from edged.client.aio import AsyncClient
from edged.errors import DaemonUnreachableError, DeadlineError, ModelUnknownError
from tests.fakes.scripted_server import ScriptedServer
from tests.unit.client.test_sync import (
    ANSWER,
    INPUTS,
    PARAMETERS,
    WISHES,
    hang_up,
    parameters_of,
    problem,
    reply,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edged.sock"


async def test_a_connection_is_used_again(path):
    with ScriptedServer(path, [reply(ANSWER)] * 2):
        async with AsyncClient(str(path)) as edged:
            answers = [(await edged.infer("adder", INPUTS))["sum"].item() for _ in range(2)]

    assert answers == [6.0, 6.0]


async def test_what_an_app_says_of_a_request_is_sent(path):
    with ScriptedServer(path, [reply(ANSWER)]) as server:
        async with AsyncClient(str(path)) as edged:
            await edged.infer("adder", INPUTS, **WISHES)

    assert parameters_of(server.asked[0]) == PARAMETERS


async def test_a_connection_that_was_closed_meanwhile_is_made_anew(path):
    with ScriptedServer(path, [reply(ANSWER)], [reply(ANSWER)]):
        async with AsyncClient(str(path)) as edged:
            await edged.infer("adder", INPUTS)
            assert (await edged.infer("adder", INPUTS))["sum"].item() == 6.0


async def test_problems_come_back_as_the_errors_they_were(path):
    with ScriptedServer(path, [problem("model-unknown", status="404 Not Found")]):
        async with AsyncClient(str(path)) as edged:
            with pytest.raises(ModelUnknownError):
                await edged.infer("adder", INPUTS)


async def test_a_daemon_that_hangs_up_is_unreachable(path):
    with ScriptedServer(path, [hang_up]):
        async with AsyncClient(str(path)) as edged:
            with pytest.raises(DaemonUnreachableError):
                await edged.infer("adder", INPUTS)


class Listener:
    """Reads and never answers; knows when the client has hung up."""

    def __init__(self, path):
        self.path = path
        self.asked, self.hung_up = asyncio.Event(), asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, kind, error, trace):
        self._server.close()
        async with asyncio.timeout(20):
            await self.hung_up.wait()

    async def _serve(self, reader, writer):
        while await reader.read(65536):
            self.asked.set()
        writer.close()
        await writer.wait_closed()
        self.hung_up.set()


async def test_a_task_that_is_cancelled_hangs_up(path):
    """The daemon stops what nobody waits for."""
    async with AsyncClient(str(path)) as edged, Listener(path) as listener:
        task = asyncio.create_task(edged.infer("adder", INPUTS))
        await listener.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_an_answer_that_never_comes_ends_with_the_deadline(path, monkeypatch):
    monkeypatch.setattr("edged.client.aio.GRACE_S", 0.01)
    async with AsyncClient(str(path)) as edged, Listener(path):
        with pytest.raises(DeadlineError):
            await edged.infer("adder", INPUTS, timeout_s=0.01)
