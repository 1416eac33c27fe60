"""What the socket does with requests that are wrong, by mistake or on purpose: a status, a problem body, and a server unharmed."""

import asyncio
import json
import logging
import random

import pytest

from tests.fakes.fake_models import FakeModels
from tests.fakes.patience import PATIENCE_S
from tests.fakes.raw_http import post, request, running

INFER = "/v2/models/echo/infer"
PAIR = "/v2/models/pair/infer"
GOOD = {"name": "content", "datatype": "BYTES", "shape": [1], "data": ["x"]}
LEFT = {"name": "left", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
RIGHT = {"name": "right", "datatype": "BOOL", "shape": [2], "data": [True, False]}


def infer(*inputs, path=INFER, **members):
    return post(path, {"inputs": list(inputs), **members})


def head(*lines):
    """A request for the library."""
    return "\r\n".join(["GET /v2 HTTP/1.1", *lines, "", ""]).encode("latin-1")


def asking(*lines, path=INFER, body=b""):
    """A request for a model, whose fields are all given."""
    return "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def with_binary(size, rest, *, length=None, member=None):
    text = json.dumps(
        {"inputs": [{**LEFT, "parameters": {"binary_data_size": size}, **(member or {})}, RIGHT]}
    ).encode()
    text = text.replace(b'"data": [1, 2], ', b"") if member is None else text
    header = f"Inference-Header-Content-Length: {len(text) if length is None else length}\r\n"
    return request("POST", PAIR, body=text + rest, headers=header)


HTTP_CASES = {
    "no host": (head(), 400, "request-invalid"),
    "two hosts": (head("Host: a", "Host: a"), 400, "request-invalid"),
    "a host that is none": (head("Host: a b<c>"), 400, "request-invalid"),
    "10,000 fields": (head("Host: a", *["X: y"] * 10_000), 431, "headers-too-large"),
    "65 fields": (head("Host: a", *["X: y"] * 64), 431, "headers-too-large"),
    "a long field": (head("Host: a", "X: " + "y" * 9000), 431, "headers-too-large"),
    "a head without end": (b"GET /v2 HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 10_000, 431, "headers-too-large"),
    "a long path": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "target-too-long"),
    "garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "request-invalid"),
    "words": (b"hello, are you there?\r\n\r\n", 400, "request-invalid"),
    "bare newlines": (b"GET /v2 HTTP/1.1\nHost: a\n\n", 400, "request-invalid"),
    "a folded field": (head("Host: a", "X: y", " z"), 400, "request-invalid"),
    "a space before the colon": (head("Host: a", "Content-Length : 5"), 400, "request-invalid"),
    "a field with a zero byte": (head("Host: a", "X: y\0z"), 400, "request-invalid"),
    "a field with a lone carriage return": (head("Host: a", "X: y\rz"), 400, "request-invalid"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version-unsupported"),
    "HTTP/1.2": (b"GET /v2 HTTP/1.2\r\nHost: a\r\n\r\n", 505, "version-unsupported"),
    "a method nobody knows": (b"BREW /v2 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method-unknown"),
    "a tunnel": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method-unknown"),
    "a target that is no path": (b"GET http://a/v2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "an upgrade": (head("Host: a", "Connection: Upgrade", "Upgrade: websocket"), 400, "request-invalid"),
    "an unknown expectation": (head("Host: a", "Expect: the-unexpected"), 417, "expectation-failed"),
    "chunks": (
        head("Host: a", "Transfer-Encoding: chunked") + b"5;" + b"x" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
        411,
        "length-required",
    ),
    "chunks and a length": (head("Host: a", "Transfer-Encoding: chunked", "Content-Length: 5"), 411, "length-required"),
    "two lengths": (head("Host: a", "Content-Length: 5", "Content-Length: 6"), 400, "request-invalid"),
    "two content types": (head("Host: a", "Content-Type: a/b", "content-type: a/c"), 400, "request-invalid"),
    "an old WebSocket": (head("Host: a", "Sec-WebSocket-Key1: a"), 400, "request-invalid"),
    "a negative length": (head("Host: a", "Content-Length: -5"), 400, "request-invalid"),
    "a length with a sign": (head("Host: a", "Content-Length: +5"), 400, "request-invalid"),
    "a length that is no number": (head("Host: a", "Content-Length: five"), 400, "request-invalid"),
    "a length of a thousand digits": (head("Host: a", "Content-Length: " + "9" * 1000), 400, "request-invalid"),
    "an announced body too large": (head("Host: a", "Content-Length: 1000001"), 413, "body-too-large"),
    "a body too large": (request("POST", INFER, body=bytes(3_000_000)), 413, "body-too-large"),
    "an unknown path": (request("GET", "/v3"), 404, "path-unknown"),
    "an unknown path below /v2": (request("GET", "/v2/models"), 404, "path-unknown"),
    "a path with strange escapes": (request("GET", "/v2/models/%ff%00%2e%2e%2f/ready"), 404, "model-unknown"),
    "a path that climbs": (request("GET", "/v2/models/../../etc/passwd"), 404, "path-unknown"),
    "a wrong method": (request("DELETE", "/v2"), 405, "method-not-allowed"),
    "a read where a write belongs": (request("GET", INFER), 405, "method-not-allowed"),
    "a write where a read belongs": (request("POST", "/v2"), 405, "method-not-allowed"),
    "an inference by PUT": (request("PUT", INFER), 405, "method-not-allowed"),
    "an inference of a method nobody knows": (b"INFER " + INFER.encode() + b" HTTP/1.1\r\n\r\n", 501, "method-unknown"),
    "a method in small letters": (b"post " + INFER.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n", 501, "method-unknown"),
    "a version in small letters": (b"GET /v2 http/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "no version": (b"GET /v2\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "two spaces": (b"GET  /v2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a space in the path": (b"GET /v2 x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a zero byte in the path": (b"GET /v2\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a path beyond ASCII": (b"GET /v2\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a star for a target": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a target with a host": (b"POST a:1" + INFER.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400, "request-invalid"),
    "a field without a colon": (asking("Host: a", "X"), 400, "request-invalid"),
    "a field without a name": (asking("Host: a", ": x"), 400, "request-invalid"),
    "a field with a space in its name": (asking("Host: a", "X Y: z"), 400, "request-invalid"),
    "a field with a name beyond ASCII": (asking("Host: a", "X\xe4: z"), 400, "request-invalid"),
    "a bare newline in a field": (asking("Host: a", "X: y\nContent-Length: 5"), 400, "request-invalid"),
    "hosts in one field": (asking("Host: a, b"), 400, "request-invalid"),
    "two lengths in one field": (asking("Host: a", "Content-Length: 5, 5"), 400, "request-invalid"),
    "a length twice": (asking("Host: a", "Content-Length: 2", "Content-Length: 2", body=b"{}"), 400, "request-invalid"),
    "an empty length": (asking("Host: a", "Content-Length:"), 400, "request-invalid"),
    "a length in hexadecimal": (asking("Host: a", "Content-Length: 0x5"), 400, "request-invalid"),
    "a length with an underscore": (asking("Host: a", "Content-Length: 1_0"), 400, "request-invalid"),
    "a length with digits beyond ASCII": (asking("Host: a", "Content-Length: \xb2"), 400, "request-invalid"),
    "an inference in chunks": (
        asking("Host: a", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"),
        411,
        "length-required",
    ),
    "an inference in chunks that denies it": (
        asking("Host: a", "Transfer-Encoding: identity", "Content-Length: 2", body=b"{}"),
        411,
        "length-required",
    ),
    "an inference that waits for a wonder": (asking("Host: a", "Expect: wonder"), 417, "expectation-failed"),
    "a JSON length twice": (
        asking("Host: a", "Inference-Header-Content-Length: 0", "inference-header-content-length: 1"),
        400,
        "request-invalid",
    ),
    "a JSON length beyond a large body": (
        asking("Host: a", "Content-Length: 900000", "Inference-Header-Content-Length: 900001"),
        400,
        "request-invalid",
    ),
    "an inference with a body too large": (asking("Host: a", "Content-Length: 1000001"), 413, "body-too-large"),
    "a large body for nobody": (
        asking("Host: a", "Content-Length: 900000", path="/v2/models/nobody/infer"),
        404,
        "model-unknown",
    ),
    "a path of an inference with a fragment": (asking("Host: a", path=INFER + "#x"), 404, "path-unknown"),
    "a path of an inference with an escape": (asking("Host: a", path="/v2/%6dodels/echo/infer"), 404, "path-unknown"),
    "a path of an inference with a slash too many": (
        asking("Host: a", path="/v2/models//echo/infer"),
        404,
        "path-unknown",
    ),
    "a model by a path that climbs": (asking("Host: a", path="/v2/models/%2e%2e/infer"), 404, "model-unknown"),
    "a compressed body": (post(INFER, {}, headers="Content-Encoding: gzip\r\n"), 415, "encoding-unsupported"),
    "an unknown model": (post("/v2/models/nobody/infer", {}), 404, "model-unknown"),
    "an unknown version": (post("/v2/models/echo/versions/9.9.9/infer", {}), 404, "model-unknown"),
}

BODY_CASES = {
    "no body": (request("POST", INFER), "request-invalid", ""),
    "no JSON": (request("POST", INFER, body=b"{nope"), "request-invalid", ""),
    "JSON of another shape": (post(INFER, ["inputs"]), "request-invalid", ""),
    "two documents": (request("POST", INFER, body=b'{"inputs":[]} {}'), "request-invalid", ""),
    "bytes that are not UTF-8": (request("POST", INFER, body=b'{"inputs":[{"name":"\xff"}]}'), "request-invalid", ""),
    "deep nesting": (request("POST", INFER, body=b'{"inputs":' + b"[" * 100_000), "request-invalid", "/inputs/0"),
    "deep data": (
        request(
            "POST", INFER, body=b'{"inputs":[{"name":"content","datatype":"BYTES","shape":[1],"data":' + b"[" * 100_000
        ),
        "request-invalid",
        "",
    ),
    "NaN": (
        request("POST", PAIR, body=json.dumps({"inputs": [{**LEFT, "data": [float("nan"), 1]}]}).encode()),
        "request-invalid",
        "",
    ),
    "Infinity": (
        request("POST", PAIR, body=json.dumps({"inputs": [{**LEFT, "data": [1e999, 1]}]}).encode()),
        "request-invalid",
        "",
    ),
    "a number beyond all": (
        request("POST", PAIR, body=json.dumps({"inputs": [LEFT, RIGHT]}).replace("[1, 2]}", "[1, 1e999]}").encode()),
        "tensor-invalid",
        "/inputs/0/data/1",
    ),
    "a number beyond FP32": (
        infer({**LEFT, "data": [1, 1e39]}, RIGHT, path=PAIR),
        "tensor-invalid",
        "/inputs/0/data/1",
    ),
    "an unknown member": (post(INFER, {"inputs": [GOOD], "colour": 1}), "request-invalid", "/colour"),
    "an unknown member of an input": (infer({**GOOD, "type": "x"}), "request-invalid", "/inputs/0/type"),
    "no inputs": (post(INFER, {"inputs": []}), "tensor-invalid", "/inputs"),
    "a missing input": (infer(LEFT, path=PAIR), "tensor-invalid", "/inputs"),
    "an input twice": (infer(LEFT, LEFT, RIGHT, path=PAIR), "tensor-invalid", "/inputs/1/name"),
    "an unknown input": (infer({**GOOD, "name": "x"}), "tensor-invalid", "/inputs/0/name"),
    "an unknown output": (infer(GOOD, outputs=[{"name": "x"}]), "tensor-invalid", "/outputs/0/name"),
    "an output twice": (infer(GOOD, outputs=[{"name": "label"}] * 2), "tensor-invalid", "/outputs/1/name"),
    "an unknown datatype": (infer({**GOOD, "datatype": "FP8"}), "request-invalid", "/inputs/0/datatype"),
    "a wrong datatype": (infer({**GOOD, "datatype": "INT8", "data": [1]}), "tensor-invalid", "/inputs/0/datatype"),
    "a wrong rank": (infer({**GOOD, "shape": [1, 1]}), "tensor-invalid", "/inputs/0/shape"),
    "a wrong size": (infer({**GOOD, "shape": [2], "data": ["a", "b"]}), "tensor-invalid", "/inputs/0/shape"),
    "a negative size": (infer({**GOOD, "shape": [-1]}), "request-invalid", "/inputs/0/shape/0"),
    "an enormous size": (infer({**LEFT, "shape": [1 << 47, 2]}, RIGHT, path=PAIR), "tensor-invalid", "/inputs/0/data"),
    "too few elements": (infer({**LEFT, "data": [1]}, RIGHT, path=PAIR), "tensor-invalid", "/inputs/0/data"),
    "ragged arrays": (
        infer({**LEFT, "shape": [2, 2], "data": [[1, 2], [3]]}, RIGHT, path=PAIR),
        "tensor-invalid",
        "/inputs/0/data",
    ),
    "an element of another type": (infer({**GOOD, "data": [7]}), "tensor-invalid", "/inputs/0/data/0"),
    "truth as a number": (infer({**LEFT, "data": [1, True]}, RIGHT, path=PAIR), "tensor-invalid", "/inputs/0/data/1"),
    "no data": (infer({key: GOOD[key] for key in ("name", "datatype", "shape")}), "tensor-invalid", "/inputs/0"),
    "bytes that are missing": (with_binary(8, b"1234"), "tensor-invalid", "/inputs/0/parameters/binary_data_size"),
    "bytes that are too few for the shape": (with_binary(4, b"1234"), "tensor-invalid", "/inputs/0"),
    "bytes that belong to nothing": (with_binary(8, b"12345678more"), "request-invalid", ""),
    "data and bytes": (
        with_binary(8, b"12345678", member={"data": [1, 2]}),
        "tensor-invalid",
        "/inputs/0/parameters/binary_data_size",
    ),
    "a size that is no number": (
        with_binary("8", b"12345678"),
        "request-invalid",
        "/inputs/0/parameters/binary_data_size",
    ),
    "a header length beyond the body": (with_binary(8, b"12345678", length=99_999), "request-invalid", ""),
    "a negative header length": (with_binary(8, b"12345678", length=-1), "request-invalid", ""),
    "a header length that is no number": (with_binary(8, b"12345678", length="ten"), "request-invalid", ""),
    "a header length that cuts the JSON": (with_binary(8, b"12345678", length=20), "request-invalid", ""),
    "a bare body for two inputs": (
        request("POST", PAIR, body=b"x", headers="Inference-Header-Content-Length: 0\r\n"),
        "request-invalid",
        "",
    ),
    "sequences of a model without a state": (
        infer(GOOD, parameters={"sequence_id": 1, "sequence_start": True}),
        "request-invalid",
        "/parameters/sequence_id",
    ),
    "the start of no sequence": (
        infer(GOOD, parameters={"sequence_start": True}),
        "request-invalid",
        "/parameters/sequence_start",
    ),
    "a class that is none": (
        infer(GOOD, parameters={"request_class": "royal"}),
        "request-invalid",
        "/parameters/request_class",
    ),
    "a timeout that is no number": (
        infer(GOOD, parameters={"timeout": "soon"}),
        "request-invalid",
        "/parameters/timeout",
    ),
    "a negative timeout": (infer(GOOD, parameters={"timeout": -1}), "request-invalid", "/parameters/timeout"),
    "shared memory": (
        infer({**GOOD, "parameters": {"shared_memory_region": "r"}}),
        "request-invalid",
        "/inputs/0/parameters/shared_memory_region",
    ),
    "a parameter that is an object": (infer(GOOD, parameters={"x": {}}), "request-invalid", "/parameters"),
}


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path / "s", max_body_bytes=1_000_000, header_timeout_s=PATIENCE_S) as server:
        yield server
        # Whatever was sent: nothing of it runs, the server answers, and nothing is left of it.
        assert not server.models.requests
        assert (await server.ask(request("GET", "/v2/health/live"))).json() == {"live": True}
        assert (await server.ask(infer(GOOD))).status == 200
        assert await server.is_left_alone()
        assert server.models.memory.taken_bytes == 0


def assert_problem(reply, status, code):
    body = reply.json()
    assert (reply.status, body["status"], body["type"]) == (status, status, f"urn:edged:error:{code}")
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize("case", HTTP_CASES)
async def test_http_that_is_refused_has_a_problem_body(server, case, caplog):
    sent, status, code = HTTP_CASES[case]
    async with server.connect() as client:
        client.writer.write(sent)  # without waiting: the server may answer before it has read all
        reply = await client.reply()

    assert_problem(reply, status, code)
    assert not caplog.records


@pytest.mark.parametrize("case", BODY_CASES)
async def test_a_body_that_is_refused_names_the_place(server, case):
    sent, code, pointer = BODY_CASES[case]

    reply = await server.ask(sent)

    assert_problem(reply, 400, code)
    assert reply.json().get("pointer", "") == pointer
    assert reply.json()["error"] == reply.json()["detail"]


async def test_a_wrong_method_is_told_the_right_ones(server):
    assert (await server.ask(request("DELETE", "/v2"))).headers["allow"] == "GET,HEAD"


async def test_error_is_a_member_only_where_the_protocol_wants_it(server):
    assert "error" not in (await server.ask(request("GET", "/edged/v1/nothing"))).json()


async def test_a_refused_request_leaves_its_connection_usable(server):
    """A body that is wrong is the end of that request, not of the connection."""
    async with server.connect() as client:
        assert (await client.ask(infer({**GOOD, "data": [7]}))).status == 400
        assert (await client.ask(request("GET", "/v2"))).status == 200


async def test_a_body_cut_short_is_told_so(server):
    async with server.connect() as client:
        await client.send(infer(GOOD)[:-5])
        client.writer.write_eof()
        reply = await client.reply()

    assert_problem(reply, 400, "request-invalid")
    assert "5 bytes" in reply.json()["detail"]


async def test_a_large_body_cut_short_is_told_so(server):
    async with server.connect() as client:
        await client.send(request("POST", INFER, body=bytes(900_000))[:-5])
        client.writer.write_eof()
        reply = await client.reply()

    assert_problem(reply, 400, "request-invalid")
    assert "5 bytes" in reply.json()["detail"]


async def test_a_body_of_the_library_has_a_limit_of_its_own(server):
    assert_problem(
        await server.ask(request("POST", "/v2/repository/index", body=b" " * 100_000)), 413, "body-too-large"
    )


async def test_what_follows_a_request_is_judged_on_its_own(server):
    """A length that is too short makes the rest another request, not a part of anything."""
    async with server.connect() as client:
        await client.send(asking("Host: a", "Content-Length: 2", body=b"{}GET /admin HTTP/1.1\r\nHost: a, b\r\n\r\n"))
        assert [(await client.reply()).status for _ in range(2)] == [400, 400]
        assert await client.is_closed()


async def test_a_head_cut_short_is_told_so(server):
    async with server.connect() as client:
        await client.send(b"GET /v2 HTT")
        client.writer.write_eof()
        assert_problem(await client.reply(), 400, "request-invalid")


async def test_an_unfinished_head_has_a_deadline(tmp_path):
    async with (
        running(tmp_path / "s", header_timeout_s=0.05) as server,
        server.connect() as silent,
        server.connect() as slow,
    ):
        await slow.send(b"GET /v2 HTTP/1.1\r\nHost: a\r\n")
        assert_problem(await slow.reply(), 408, "request-timeout")
        assert await silent.is_closed()


async def test_the_second_head_of_a_connection_has_a_deadline_too(tmp_path):
    async with running(tmp_path / "s", header_timeout_s=0.05) as server, server.connect() as client:
        assert (await client.ask(request("GET", "/v2"))).status == 200
        await client.send(b"GET ")
        assert_problem(await client.reply(), 408, "request-timeout")


@pytest.mark.parametrize("whole", [infer(GOOD), post("/v2/repository/index", {"ready": True})])
async def test_an_unfinished_body_has_a_deadline(tmp_path, whole):
    """Whoever waits for it."""
    async with running(tmp_path / "s", request_timeout_s=0.05) as server, server.connect() as client:
        await client.send(whole[:-5])
        reply = await client.reply()

    assert_problem(reply, 408, "request-timeout")
    assert reply.headers["connection"] == "close"


async def test_a_peer_that_does_not_read_is_cut_off(tmp_path):
    async with running(tmp_path / "s", request_timeout_s=0.05) as server, server.connect() as client:
        client.writer.transport.pause_reading()
        client.writer.write(request("GET", "/edged/v1/models") * 5000)
        assert await server.is_left_alone()
        client.writer.transport.abort()


async def test_connections_have_a_cap_and_leaving_makes_room(tmp_path):
    async with running(tmp_path / "s", max_connections=2) as server:
        async with server.connect() as first, server.connect():
            assert (await first.ask(request("GET", "/v2"))).status == 200
            async with server.connect() as third:
                reply = await third.reply()
            assert_problem(reply, 503, "unavailable")
            assert reply.headers["retry-after"] == "1"
            assert (await first.ask(request("GET", "/v2"))).status == 200
        assert await server.is_left_alone()
        assert (await server.ask(request("GET", "/v2"))).status == 200


async def test_all_large_bodies_together_have_a_limit(tmp_path):
    """What a model's memory has room for may be on its way; one more waits its turn outside."""
    models = FakeModels(memory_bytes=4 << 18)
    async with running(tmp_path / "s", models=models, max_connections=8) as server:
        clients = [server.connect() for _ in range(5)]
        opened = [await client.__aenter__() for client in clients]
        whole = request("POST", INFER, body=bytes(200_000), headers="Inference-Header-Content-Length: 0\r\n")
        for client in opened[:4]:
            await client.send(whole[:-1])
        # A round trip later, those four are being read.
        assert (await server.ask(request("GET", "/v2"))).status == 200
        reply = await opened[4].ask(whole)
        await opened[0].send(whole[-1:])
        finished = await opened[0].reply()
        again = await opened[4].ask(whole)
        for client in clients:
            await client.__aexit__(None, None, None)

    assert_problem(reply, 503, "unavailable")
    assert (finished.status, again.status) == (200, 200)


async def test_a_reload_changes_the_limit_for_the_next_request(tmp_path):
    async with running(tmp_path / "s") as server:
        server.limits.current = type(server.limits.current)(max_body_bytes=10)
        reply = await server.ask(infer(GOOD))

    assert_problem(reply, 413, "body-too-large")


async def test_an_output_json_cannot_say_is_refused_with_advice(tmp_path):
    models = FakeModels()
    models.score = float("nan")
    async with running(tmp_path / "s", models=models) as server:
        as_json = await server.ask(infer(GOOD))
        as_bytes = await server.ask(infer(GOOD, parameters={"binary_data_output": True}))

    assert_problem(as_json, 400, "request-invalid")
    assert "binary_data" in as_json.json()["hint"]
    assert as_bytes.status == 200


async def test_a_request_may_arrive_in_any_pieces(tmp_path):
    """Two requests sent ahead, cut anywhere, are the same two requests."""
    both = infer(GOOD) + request("GET", "/v2")
    async with running(tmp_path / "s") as server, server.connect() as client:
        for step in (1, 2, 3, 7, 50):
            for start in range(0, len(both), step):
                await client.send(both[start : start + step])
                await asyncio.sleep(0)  # lets the server take this piece alone
            assert [(await client.reply()).status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("seed", range(5))
async def test_requests_with_wrong_bytes_never_harm_the_server(tmp_path, seed, caplog):
    """Whatever is wrong, the caller is told, and nothing is logged as a fault of the server."""
    chance = random.Random(seed)
    async with running(tmp_path / "s", header_timeout_s=0.05, request_timeout_s=0.05) as server:
        for _ in range(60):
            sent = bytearray(infer(GOOD))
            for _ in range(chance.randrange(1, 4)):
                sent[chance.randrange(len(sent))] = chance.choice(b'\r\n\0 :;/,"{}[]0129aZ\xff\x7f')
            async with server.connect() as client:
                await client.send(bytes(sent))
                assert (await client.reply()).status in {200, 400, 404, 405, 408, 413, 501, 505}
        assert (await server.ask(request("GET", "/v2"))).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
