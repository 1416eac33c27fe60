"""Inferences on a real socket: bodies of every size, connections of every kind, and what is left when somebody leaves."""

import asyncio
import json
import socket

import numpy as np
import pytest

from edged.api.connection import guard
from edged.api.http import line
from edged.config.schema import CallerLimits
from edged.runtime.wire import INLINE_BYTES
from tests.fakes.fake_models import FakeModels
from tests.fakes.loop_clocks import skip_s
from tests.fakes.patience import PATIENCE_S
from tests.fakes.raw_http import Server, post, request, running

INFER = "/v2/models/echo/infer"
FILE = {"inputs": [{"name": "content", "datatype": "BYTES", "shape": [1], "data": ["hello"]}]}
BARE = "Inference-Header-Content-Length: 0\r\n"
LARGE = 5_000_000


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path / "s") as server:
        yield server
    assert server.models.memory.taken_bytes == 0


async def until_started(models: FakeModels) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await models.started.wait()


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 1 << 16, LARGE])
async def test_bodies_of_any_size_arrive_whole(server, size):
    body = np.random.default_rng(size).bytes(size)
    async with server.connect() as client:
        for _ in range(2):
            reply = await client.ask(request("POST", INFER, body=body, headers=BARE))
            assert reply.json()["outputs"][0]["data"] == [str(size + 4)]

    assert all(inputs["content"][4:] == body for inputs in server.models.inputs)
    assert all((item.memory is not None) == (size > INLINE_BYTES) for item in server.models.requests)


async def test_a_large_tensor_is_aligned_where_the_worker_reads_it(server):
    """Whatever the length of the JSON before it."""
    left = np.arange(20_000, dtype="<f4").tobytes()
    for id_ in ("a", "bb", "ccc"):
        text = json.dumps(
            {
                "id": id_,
                "inputs": [
                    {
                        "name": "left",
                        "datatype": "FP32",
                        "shape": [10_000, 2],
                        "parameters": {"binary_data_size": len(left)},
                    },
                    {"name": "right", "datatype": "BOOL", "shape": [2], "data": [True, False]},
                ],
                "outputs": [{"name": "sum", "parameters": {"binary_data": True}}],
            }
        ).encode()
        headers = f"Inference-Header-Content-Length: {len(text)}\r\n"
        reply = await server.ask(request("POST", "/v2/models/pair/infer", body=text + left, headers=headers))
        assert reply.body.endswith(left)

    tensors = [item.inputs[0] for item in server.models.requests]
    assert [tensor.at % 64 for tensor in tensors] == [0, 0, 0]


async def test_a_client_that_waits_for_leave_to_send_gets_it_once(server):
    for size in (100, LARGE):
        body = bytes(size)
        async with server.connect() as client:
            whole = request("POST", INFER, body=body, headers=BARE + "Expect: 100-continue\r\n")
            await client.send(whole[: -len(body)])
            assert (await client.reply(has_body=False)).status == 100
            reply = await client.ask(body)
            assert (reply.status, reply.json()["outputs"][0]["data"]) == (200, [str(size + 4)])
            assert (await client.ask(request("GET", "/v2"))).status == 200


async def test_a_client_that_does_not_wait_for_leave_is_not_given_it(server):
    reply = await server.ask(post(INFER, FILE, headers="Expect: 100-continue\r\n"))

    assert reply.status == 200


async def test_a_client_that_waits_for_leave_may_be_refused_instead(server):
    """It may never send the body, so its connection has no next request."""
    async with server.connect() as client:
        whole = request("POST", "/v2/models/nobody/infer", body=bytes(LARGE), headers="Expect: 100-continue\r\n")
        reply = await client.ask(whole[:-LARGE])
        assert (reply.status, reply.headers["connection"]) == (404, "close")
        assert await client.is_closed()


@pytest.mark.parametrize(
    ("version", "header", "connection"),
    [
        ("1.1", "", None),
        ("1.1", "Connection: close\r\n", "close"),
        ("1.0", "", "close"),
        ("1.0", "Connection: keep-alive\r\n", "keep-alive"),
    ],
)
async def test_a_connection_is_kept_or_closed_as_its_client_says(server, version, header, connection):
    async with server.connect() as client:
        reply = await client.ask(post(INFER, FILE, headers=header).replace(b"HTTP/1.1", f"HTTP/{version}".encode(), 1))
        assert (reply.status, reply.headers.get("connection")) == (200, connection)
        if connection == "close":
            assert await client.is_closed()
        else:
            assert (await client.ask(post(INFER, FILE))).status == 200


async def test_answers_come_in_the_order_of_requests_whoever_gives_them(server):
    kinds = [
        (post(INFER, FILE), 200),
        (request("GET", "/v2"), 200),
        (request("POST", INFER, body=bytes(100_000), headers=BARE), 200),
        (post("/v2/models/nobody/infer", FILE), 404),
        (request("DELETE", INFER), 405),
        (request("POST", "/v2/models/nobody/infer", body=bytes(100_000)), 404),
    ] * 3
    async with server.connect() as client:
        client.writer.write(b"".join(sent for sent, _ in kinds))
        assert [(await client.reply()).status for _ in kinds] == [status for _, status in kinds]


async def test_the_path_of_an_inference_takes_post_alone(server):
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        reply = await server.ask(request(method, INFER))
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert (await server.ask(post(INFER + "?from=here", FILE))).status == 200


async def test_a_model_is_found_by_its_escaped_name_and_by_its_version(server):
    for path in (
        "/v2/models/%65cho/infer",
        "/v2/models/echo/versions/1.2.3/infer",
        "/v2/models/echo/versions/1%2e2.3/infer",
    ):
        assert (await server.ask(post(path, FILE))).status == 200


async def test_a_refused_large_body_is_read_and_its_connection_goes_on(server):
    async with server.connect() as client:
        client.writer.write(request("POST", "/v2/models/nobody/infer", body=bytes(LARGE)))
        assert (await client.reply()).status == 404
        assert (await client.ask(post(INFER, FILE))).status == 200


async def test_a_client_that_leaves_ends_its_inference(server):
    server.models.hold = True
    for body in (post(INFER, FILE), request("POST", INFER, body=bytes(LARGE), headers=BARE)):
        server.models.started.clear()
        server.models.abandoned.clear()
        async with server.connect() as client:
            await client.send(body)
            await until_started(server.models)
        async with asyncio.timeout(PATIENCE_S):
            await server.models.abandoned.wait()
    assert await server.is_left_alone()


async def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_no_memory(server):
    async with server.connect() as client:
        await client.send(request("POST", INFER, body=bytes(LARGE), headers=BARE)[: LARGE // 2])
        async with asyncio.timeout(PATIENCE_S):
            while not server.models.taken:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
    assert await server.is_left_alone()
    assert server.models.memory.taken_bytes == 0
    assert not server.models.requests


async def test_a_large_body_that_does_not_arrive_in_time_leaves_no_memory(tmp_path):
    async with running(tmp_path / "s", request_timeout_s=0.05) as server, server.connect() as client:
        await client.send(request("POST", INFER, body=bytes(LARGE), headers=BARE)[: LARGE // 2])
        reply = await client.reply()
        assert (reply.status, reply.headers["connection"]) == (408, "close")
        assert server.models.memory.taken_bytes == 0
        assert (await server.ask(post(INFER, FILE))).status == 200


async def test_a_refused_body_that_does_not_arrive_in_time_ends_its_connection(tmp_path):
    async with running(tmp_path / "s", request_timeout_s=0.05) as server, server.connect() as client:
        await client.send(request("POST", "/v2/models/nobody/infer", body=bytes(LARGE))[:200])
        assert (await client.reply()).status == 404
        assert await client.is_closed()


async def test_an_idle_connection_is_closed_after_a_while(tmp_path, monkeypatch):
    """Also one that the server library has answered on, which has no say in it."""
    monkeypatch.setattr(guard, "KEEPALIVE_S", 0.05)
    async with running(tmp_path / "s") as server, server.connect() as one, server.connect() as other:
        assert (await one.ask(post(INFER, FILE))).status == 200
        assert (await other.ask(request("GET", "/v2"))).status == 200
        assert await one.is_closed()
        assert await other.is_closed()


async def test_a_connection_with_an_inference_under_way_is_not_idle(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "KEEPALIVE_S", 10.0)
    models = FakeModels()
    async with running(tmp_path / "s", models=models) as server, server.connect() as busy, server.connect() as idle:
        assert (await busy.ask(request("GET", "/v2"))).status == 200
        models.hold = True
        await busy.send(post(INFER, FILE))
        await until_started(models)
        assert (await idle.ask(request("GET", "/v2"))).status == 200
        skip_s(monkeypatch, 10.0)
        assert await idle.is_closed()
        models.let_go()
        assert (await busy.reply()).status == 200


async def test_a_refused_client_that_goes_on_sending_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(line, "LINGER_S", 0.05)
    async with running(tmp_path / "s", max_body_bytes=1000) as server, server.connect() as client:
        client.writer.write(request("POST", INFER, body=bytes(1001)))
        assert (await client.reply()).status == 413
        assert await client.is_closed()


async def test_a_peer_that_does_not_read_its_answers_is_cut_off(tmp_path):
    """And what it asked for ahead is not even run."""
    async with running(tmp_path / "s", request_timeout_s=0.05) as server, server.connect() as client:
        client.writer.transport.pause_reading()
        client.writer.write(post(INFER, FILE) * 5000)
        assert await server.is_left_alone()
        assert len(server.models.requests) < 5000
        client.writer.transport.abort()


async def test_a_peer_that_reads_late_gets_all_of_a_large_answer(server):
    left = np.arange(1_000_000, dtype="<f4").tobytes()
    text = json.dumps(
        {
            "inputs": [
                {
                    "name": "left",
                    "datatype": "FP32",
                    "shape": [500_000, 2],
                    "parameters": {"binary_data_size": len(left)},
                },
                {"name": "right", "datatype": "BOOL", "shape": [2], "data": [True, False]},
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = f"Inference-Header-Content-Length: {len(text)}\r\n"
    async with server.connect() as client:
        client.writer.write(request("POST", "/v2/models/pair/infer", body=text + left, headers=headers) * 3)
        replies = [await client.reply() for _ in range(3)]

    assert all(reply.body.endswith(left) for reply in replies)


async def test_each_caller_has_limits_of_its_own(tmp_path):
    """All these connections are those of one user."""
    models = FakeModels()
    models.hold = True
    caller = CallerLimits(max_concurrent=2)
    async with running(tmp_path / "s", models=models, caller=caller) as server:
        async with server.connect() as one, server.connect() as two:
            await one.send(post(INFER, FILE))
            await two.send(post(INFER, FILE))
            async with asyncio.timeout(PATIENCE_S):
                while models.under_way < 2:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
            refused = await server.ask(post(INFER, FILE))
            body = refused.json()
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert body["type"] == "urn:edged:error:quota-exceeded"
            assert body["facts"] == {"limit": "limits.max_concurrent"}
            models.let_go()
            assert [(await client.reply()).status for client in (one, two)] == [200, 200]
        assert (await server.ask(post(INFER, FILE))).status == 200
        assert models.counts["echo"].rejections == {"quota": 1}


async def test_statistics_and_metrics_are_served(server):
    await server.ask(post(INFER, FILE))

    assert (await server.ask(request("GET", "/v2/models/stats"))).json()["model_stats"][0]["name"] == "echo"
    assert (await server.ask(request("GET", "/v2/models/echo/versions/1.2.3/stats"))).status == 200
    assert b"edged_model_info" in (await server.ask(request("GET", "/metrics"))).body


class Stopped:
    """A server that a test stops while it is used."""

    def __init__(self, path, models, **options):
        self._stop = asyncio.Event()
        self._ready: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._serve(path, models, options))

    async def _serve(self, path, models, options):
        async with running(path, models=models, **options) as server:
            self._ready.set_result(server)
            await self._stop.wait()

    async def __aenter__(self):
        self.server = await self._ready
        return self

    def stop(self):
        self._stop.set()

    async def __aexit__(self, *_):
        async with asyncio.timeout(PATIENCE_S):
            await self.task


async def test_stopping_finishes_inferences_and_says_that_the_connection_ends(tmp_path):
    models = FakeModels()
    models.hold = True
    async with (
        Stopped(tmp_path / "s", models, drain_s=PATIENCE_S) as stopped,
        stopped.server.connect() as busy,
        stopped.server.connect() as idle,
    ):
        assert (await idle.ask(request("GET", "/v2"))).status == 200
        await busy.send(post(INFER, FILE))
        await until_started(models)
        stopped.stop()
        assert await idle.is_closed()
        models.let_go()
        reply = await busy.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await busy.is_closed()


async def test_a_request_that_reached_the_socket_before_the_end_is_answered(tmp_path):
    """On a connection that was idle until the service was told to stop: nobody could tell whether it had run otherwise."""
    models = FakeModels()
    async with Stopped(tmp_path / "s", models, drain_s=PATIENCE_S) as stopped:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, str(stopped.server.path))
            await loop.sock_sendall(sock, request("GET", "/v2"))
            assert await loop.sock_recv(sock, 10_000)
            sent = sent_last = False

            finish = guard.Guard.finish

            def finish_late(self):
                nonlocal sent, sent_last
                # The request is in the kernel before the server stops listening, and not read yet.
                sent = sock.send(post(INFER, FILE)) > 0
                finish(self)
                try:
                    sock.send(post(INFER, FILE))
                except BrokenPipeError:
                    sent_last = True

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(guard.Guard, "finish", finish_late)
                stopped.stop()
                answer = b""
                while part := await loop.sock_recv(sock, 10_000):
                    answer += part

    assert (sent, sent_last) == (True, True)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer
    assert len(models.requests) == 1


async def test_stopping_abandons_what_does_not_finish_in_time(tmp_path):
    models = FakeModels()
    models.hold = True
    async with (
        Stopped(tmp_path / "s", models, drain_s=0.05) as stopped,
        stopped.server.connect() as busy,
        stopped.server.connect() as sending,
    ):
        await busy.send(post(INFER, FILE))
        await sending.send(request("POST", INFER, body=bytes(LARGE), headers=BARE)[: LARGE // 2])
        await until_started(models)
        stopped.stop()
        assert await busy.is_closed()
        assert await sending.is_closed()
    assert models.abandoned.is_set()
    assert models.memory.taken_bytes == 0


async def test_a_bug_is_told_by_an_identifier_and_closes_nothing(server, caplog):
    server.models.submit = None
    async with server.connect() as client:
        reply = await client.ask(post(INFER, FILE))
        record = next(record for record in caplog.records if record.message == "Request failed")
        assert reply.status == 500
        assert record.edged_fields["request"] == reply.json()["facts"]["request"]
        assert record.edged_fields["path"] == INFER
        assert isinstance(record.edged_fields["uid"], int)
        assert (await client.ask(request("GET", "/v2"))).status == 200
