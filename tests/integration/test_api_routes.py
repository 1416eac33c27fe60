"""The API on a real socket: every route, and what is said about the model that answered."""

import asyncio
import json

import numpy as np
import pytest
from aiohttp import web

from edged import __version__
from edged.api.endpoints.replies import json_reply
from edged.api.oip.parameters import EXTENSIONS
from edged.errors import DeadlineError, UnavailableError, WorkerLostError
from edged.pipeline.spec import TensorSpec
from tests.fakes.fake_models import ECHO, PAIR, FakeModels, UnexpectedError
from tests.fakes.patience import PATIENCE_S
from tests.fakes.raw_http import Server, post, request, running


@pytest.fixture
async def server(tmp_path):
    async with running(tmp_path / "s") as server:
        yield server


FILE = {"inputs": [{"name": "content", "datatype": "BYTES", "shape": [1], "data": ["hello"]}]}
WINDOW = {"name": "window", "datatype": "INT32", "shape": [1, 3], "data": [1, 2, 3]}


async def test_server_metadata_names_the_extensions(server):
    reply = await server.ask(request("GET", "/v2"))

    assert reply.json() == {"name": "edged", "version": __version__, "extensions": list(EXTENSIONS)}
    assert reply.headers["server"] == f"edged/{__version__}"


async def test_live_and_ready_say_so(server):
    assert (await server.ask(request("GET", "/v2/health/live"))).json() == {"live": True}
    assert (await server.ask(request("GET", "/v2/health/ready"))).json() == {"ready": True, "live": True}


async def test_a_model_that_does_not_answer_makes_the_server_unready(tmp_path):
    view = changed(ECHO, is_ready=False)
    async with running(tmp_path / "s", models=FakeModels(view)) as server:
        ready = await server.ask(request("GET", "/v2/health/ready"))
        model = await server.ask(request("GET", "/v2/models/echo/ready"))

    assert (ready.status, ready.json(), ready.headers["retry-after"]) == (503, {"ready": False, "live": True}, "1")
    assert (model.status, model.json()) == (503, {"name": "echo", "ready": False})


@pytest.mark.parametrize("path", ["/v2/models/echo", "/v2/models/echo/versions/1.2.3"])
async def test_model_metadata_is_what_the_pipeline_takes_and_gives(server, path):
    assert (await server.ask(request("GET", path))).json() == {
        "name": "echo",
        "versions": ["1.2.3"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "content", "datatype": "BYTES", "shape": [1]}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1]},
            {"name": "score", "datatype": "FP32", "shape": [1, 2]},
        ],
    }
    assert (await server.ask(request("GET", f"{path}/ready"))).json() == {"name": "echo", "ready": True}


async def test_how_small_a_model_may_be_asked_for_is_said_where_it_is_not_all(tmp_path):
    small = changed(ECHO, least_scale=0.25)
    async with running(tmp_path / "s", models=FakeModels(small, PAIR)) as server:
        metadata = (await server.ask(request("GET", "/v2/models/echo"))).json()
        plain = (await server.ask(request("GET", "/v2/models/pair"))).json()
        listed = (await server.ask(request("GET", "/edged/v1/models"))).json()["models"]

    assert metadata["parameters"] == {"least_scale": 0.25}
    assert "parameters" not in plain
    assert [model.get("least_scale") for model in listed] == [0.25, None]


async def test_model_config_has_tritons_form(server):
    config = (await server.ask(request("GET", "/v2/models/echo/config"))).json()

    assert config["max_batch_size"] == 0
    assert "sequence_batching" not in config
    assert config["input"] == [{"name": "content", "data_type": "TYPE_STRING", "dims": [1]}]
    assert config["backend"] == "onnxruntime"
    assert config["parameters"] == {"variant": {"string_value": "echo-1.2.3-fp32-amd64"}}


def changed(view, **changes):
    return type(view)(**{name: getattr(view, name) for name in view.__slots__ if name not in changes}, **changes)


async def test_the_config_of_a_model_that_batches_leaves_out_the_first_axis(tmp_path):
    """As Triton's does: load generators put the batch size before what they find."""
    rows = (TensorSpec(name="x", dtype="FP32", shape=(-1, 3)),)
    view = changed(PAIR, inputs=rows, raw_inputs=rows, outputs=rows, max_rows=8)
    async with running(tmp_path / "s", models=FakeModels(view)) as server:
        config = (await server.ask(request("GET", "/v2/models/pair/config"))).json()
        metadata = (await server.ask(request("GET", "/v2/models/pair"))).json()

    assert (config["max_batch_size"], config["input"][0]["dims"], config["output"][0]["dims"]) == (8, [3], [3])
    assert metadata["inputs"][0]["shape"] == [-1, 3]


async def test_the_config_of_a_model_whose_apps_send_no_rows_has_no_batches(tmp_path):
    """Its pipeline makes the rows; an app sends one file at a time."""
    async with running(tmp_path / "s", models=FakeModels(changed(ECHO, max_rows=8))) as server:
        config = (await server.ask(request("GET", "/v2/models/echo/config"))).json()

    assert (config["max_batch_size"], config["input"][0]["dims"]) == (0, [1])


async def test_the_config_of_a_model_with_a_state_has_sequences(tmp_path):
    view = changed(PAIR, state_inputs=frozenset({"left"}))
    async with running(tmp_path / "s", models=FakeModels(view)) as server:
        config = (await server.ask(request("GET", "/v2/models/pair/config"))).json()

    assert [item["name"] for item in config["input"]] == ["right"]
    assert config["sequence_batching"] == {"state": [{"input_name": "left", "data_type": "TYPE_FP32", "dims": [-1, 2]}]}


async def test_index_lists_models_and_can_leave_out_those_that_are_not_ready(server):
    models = server.models.document.models
    refused = type(models[1])(name="pair", state="refused", slots=(), refused=())
    server.models.document = type(server.models.document)(
        edged="0", state="degraded", started_at=0.0, models=(models[0], refused)
    )

    everything = (await server.ask(request("POST", "/v2/repository/index"))).json()
    ready = (await server.ask(post("/v2/repository/index", {"ready": True}))).json()
    unknown = await server.ask(post("/v2/repository/index", {"redy": True}))

    assert [(entry["name"], entry["state"]) for entry in everything] == [("echo", "READY"), ("pair", "UNAVAILABLE")]
    assert [entry["name"] for entry in ready] == ["echo"]
    assert unknown.status == 400


async def test_status_and_models_are_documents_of_schema_1(server):
    status = (await server.ask(request("GET", "/edged/v1/status"))).json()
    models = (await server.ask(request("GET", "/edged/v1/models"))).json()

    assert (status["schema"], status["state"], status["models"][0]["active"]) == (1, "serving", "a")
    assert (models["schema"], [model["name"] for model in models["models"]]) == (1, ["echo", "pair"])
    assert models["models"][0]["raw_inputs"] == [{"name": "window", "dtype": "INT32", "shape": [1, -1]}]


async def test_an_answer_says_which_variant_and_version_decided(server):
    reply = await server.ask(post("/v2/models/echo/infer", {**FILE, "id": "seven"}))

    assert reply.json() == {
        "model_name": "echo",
        "model_version": "1.2.3",
        "id": "seven",
        "parameters": {"variant": "echo-1.2.3-fp32-amd64"},
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["9"]},
            {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.75, 0.25]},
        ],
    }
    assert reply.headers["edged-variant"] == "echo-1.2.3-fp32-amd64"
    assert reply.headers["edged-model-version"] == "1.2.3"
    assert "inference-header-content-length" not in reply.headers


async def test_an_app_may_send_what_the_model_itself_takes(server):
    reply = await server.ask(post("/v2/models/echo/infer", {"inputs": [WINDOW], "outputs": [{"name": "label"}]}))

    assert reply.json()["outputs"][0]["data"] == ["12"]
    assert server.models.requests[0].inputs[0].name == "window"


async def test_binary_tensors_go_both_ways(server):
    left = np.arange(4, dtype="<f4").tobytes()
    text = json.dumps(
        {
            "inputs": [
                {"name": "left", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": len(left)}},
                {"name": "right", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}},
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = f"Inference-Header-Content-Length: {len(text)}\r\n"

    reply = await server.ask(request("POST", "/v2/models/pair/infer", body=text + left + b"\x00\x01", headers=headers))

    length = int(reply.headers["inference-header-content-length"])
    assert json.loads(reply.body[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert reply.body[length:] == left
    assert reply.headers["content-type"] == "application/octet-stream"


async def test_a_file_can_be_the_whole_body(server):
    headers = "Inference-Header-Content-Length: 0\r\n"
    reply = await server.ask(request("POST", "/v2/models/echo/infer", body=b"\x00\xff" * 500, headers=headers))

    assert reply.json()["outputs"][0]["data"] == ["1004"]


async def test_timeout_is_in_microseconds_and_capped_by_the_configuration(tmp_path):
    async with running(tmp_path / "s", request_timeout_s=2.0) as server:
        await server.ask(post("/v2/models/echo/infer", {**FILE, "parameters": {"timeout": 500_000}}))
        await server.ask(post("/v2/models/echo/infer", {**FILE, "parameters": {"timeout": 60_000_000}}))
        await server.ask(post("/v2/models/echo/infer", FILE))

    short, capped, default = server.models.timeouts_s
    assert 0 < short <= 0.5
    assert 1 < capped <= 2.0
    assert 1 < default <= 2.0


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (UnavailableError("Loading.", retry_after_s=3), 503, "unavailable"),
        (DeadlineError("Too late."), 504, "deadline-exceeded"),
        (WorkerLostError("Gone."), 500, "worker-lost"),
    ],
)
async def test_a_failure_keeps_its_code(server, failure, status, code):
    server.models.failure = failure

    reply = await server.ask(post("/v2/models/echo/infer", FILE))

    assert (reply.status, reply.json()["type"]) == (status, f"urn:edged:error:{code}")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["error"] == failure.message
    assert reply.headers.get("retry-after") == ("3" if status == 503 else None)


async def test_a_bug_gives_an_identifier_and_nothing_of_the_inside(server, caplog):
    server.models.failure = UnexpectedError("secret path /var/lib")

    reply = await server.ask(post("/v2/models/echo/infer", FILE))

    record = next(record for record in caplog.records if record.message == "Request failed")
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert record.edged_fields["request"] == reply.json()["facts"]["request"]
    assert isinstance(record.edged_fields["uid"], int)


async def test_head_is_answered_like_get_without_a_body(server):
    async with server.connect() as client:
        await client.send(request("HEAD", "/v2"))
        reply = await client.reply(has_body=False)
        again = await client.ask(request("GET", "/v2/health/live"))

    assert (reply.status, again.json()) == (200, {"live": True})


async def test_a_connection_serves_many_requests_and_those_sent_ahead_in_order(server):
    paths = ["/v2/health/live", "/v2/nothing", "/v2"] * 20
    async with server.connect() as client:
        await client.send(b"".join(request("GET", path) for path in paths))
        statuses = [(await client.reply()).status for _ in paths]

    assert statuses == [200, 404, 200] * 20


async def test_many_requests_sent_ahead_do_not_pile_up_in_the_server(server):
    """The guard stops reading; the kernel's socket buffer is where a flood ends."""
    server.models.hold = True
    async with server.connect() as client:
        await client.send(post("/v2/models/echo/infer", FILE))
        async with asyncio.timeout(PATIENCE_S):
            await server.models.started.wait()
        client.writer.write(request("GET", "/v2") * 40_000)
        waiting = asyncio.create_task(client.writer.drain())
        live = await server.ask(request("GET", "/v2/health/live"))
        server.models.let_go()
        replies = [(await client.reply()).status for _ in range(100)]
        waiting.cancel()
        client.writer.transport.abort()

    assert live.status == 200
    assert replies == [200] * 100


async def test_stopping_answers_whoever_had_connected_and_not_asked_yet(tmp_path):
    """Between connect and send lies a moment, and a service restarts in any moment."""
    stop = asyncio.Event()
    ready: asyncio.Future[Server] = asyncio.get_running_loop().create_future()

    async def serve():
        async with running(tmp_path / "s", models=FakeModels(), drain_s=PATIENCE_S) as server:
            ready.set_result(server)
            await stop.wait()

    serving = asyncio.create_task(serve())
    server = await ready
    async with server.connect() as client:
        stop.set()
        await until_refused(server.path)
        assert (await client.ask(request("GET", "/v2"))).status == 200
        assert await client.is_closed()
    async with asyncio.timeout(PATIENCE_S):
        await serving


async def until_refused(path) -> None:
    """Connect again and again until the socket takes no connections any more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(path)
            except OSError:
                return
            writer.close()


async def test_a_socket_may_have_routes_of_its_own(tmp_path):
    async def secret(_request):
        return json_reply({"admin": True})

    async with running(tmp_path / "a", routes=[web.get("/edged/v1/admin/secret", secret)]) as server:
        assert (await server.ask(request("GET", "/edged/v1/admin/secret"))).json() == {"admin": True}
        assert (await server.ask(request("GET", "/edged/v1/status"))).status == 200
