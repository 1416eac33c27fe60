"""The description of the API beside the API: the same routes, and answers of the types that it gives them."""

from dataclasses import replace

import msgspec
import pytest

from edged.api.app import make_app
from edged.api.description.openapi import document
from edged.api.description.operations import JSON, OPERATIONS
from edged.api.endpoints.metrics import Metrics
from edged.api.endpoints.steering import SteeringRoutes
from edged.api.http.problems import ProblemBody
from edged.api.oip.infer import parse_infer_path
from edged.policy.document import Then
from tests.fakes.device_routes import device_routes
from tests.fakes.fake_models import ECHO, FakeModels
from tests.fakes.flags import FakeFlags
from tests.fakes.policies import PolicyWorld, policy_routes
from tests.fakes.raw_http import post, request, running
from tests.fakes.steered import FakeUpdates

FILE = {"inputs": [{"name": "content", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}
BODIES = {
    "infer": FILE,
    "inferOfVersion": FILE,
    "index": {"ready": True},
    "rollback": {"model": "echo", "reason": "slow"},
    "apply": {"model": "echo"},
    "accuracy": {"accuracy": "degraded"},
    "explainPolicy": {"model": "echo", "given": {"thermal": "serious"}},
    "overridePolicy": {"model": "echo", "then": {"variants": ["int8"]}, "for_s": 60, "reason": "a test"},
    "clearPolicyOverrides": {},
}


@pytest.fixture
async def server(tmp_path):
    """The administrators' socket, which has everything."""
    with PolicyWorld(tmp_path).report() as report:
        await report.override("echo", Then(defer_s=60), for_s=60, reason="a test", by="operator alice")
        routes = [*device_routes(), *policy_routes(report), *SteeringRoutes(FakeUpdates()).routes()]
        async with running(tmp_path / "s", routes=routes) as server:
            yield server


def asked(operation) -> bytes:
    path = operation.path.format(model="echo", version="1.2.3", flag="fast")
    return post(path, BODIES[operation.id]) if operation.method == "post" else request("GET", path)


def routes_of(*more):
    """Return what a socket has. HEAD comes with GET."""
    models = FakeModels()
    metrics = Metrics(usage=models, connections=dict, reviews=dict, shadows=dict, started_unix_s=0.0)
    routes = [*device_routes(), *more]
    app = make_app(models=models, status=models, usage=models, metrics=metrics, flags=FakeFlags(), routes=routes)
    return {(route.method, route.resource.canonical) for route in app.router.routes() if route.method != "HEAD"}


@pytest.mark.parametrize("is_for_admins", [False, True], ids=["apps", "administrators"])
async def test_the_routes_are_those_of_the_table(tmp_path, is_for_admins):
    """The guard takes inferences, and the application refuses all other methods at their paths."""
    with PolicyWorld(tmp_path).report() as report:
        policy = policy_routes(report, is_for_admins=is_for_admins)
    routes = routes_of(*policy, *(SteeringRoutes(FakeUpdates()).routes() if is_for_admins else ()))
    listed = [operation for operation in OPERATIONS if is_for_admins or not operation.is_for_admins]
    table = {(operation.method.upper(), operation.path) for operation in listed}
    inferences = {(method, path) for method, path in table if parse_infer_path(path.encode())}

    assert len(inferences) == 2
    assert routes == table - inferences | {("*", path) for _, path in inferences}


async def test_the_document_is_served(server):
    reply = await server.ask(request("GET", "/openapi.json"))

    assert reply.headers["content-type"] == "application/json"
    assert reply.body == document()


@pytest.mark.parametrize(
    "operation",
    [operation for operation in OPERATIONS if JSON in operation.answers],
    ids=lambda operation: operation.id,
)
async def test_an_answer_is_of_its_type(server, operation):
    reply = await server.ask(asked(operation))

    assert (reply.status, reply.headers["content-type"]) == (200, JSON)
    # Types refuse members that they do not have, and miss those that are not there.
    msgspec.json.decode(reply.body, type=operation.answers[JSON])
    assert {name.lower() for name in operation.gives} <= reply.headers.keys() | {
        "inference-header-content-length",
        "edged-fallback",
        "edged-decision",
    }


async def test_a_model_that_may_be_smaller_is_described_as_its_type_says(tmp_path):
    async with running(tmp_path / "s", models=FakeModels(replace(ECHO, least_scale=0.25))) as server:
        for operation in OPERATIONS:
            if operation.id in {"model", "models"}:
                reply = await server.ask(asked(operation))
                assert b'"least_scale":0.25' in reply.body
                msgspec.json.decode(reply.body, type=operation.answers[JSON])


@pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if operation.says_unready], ids=lambda o: o.id
)
async def test_what_is_not_ready_says_so_in_the_same_type(tmp_path, operation):
    async with running(tmp_path / "s", models=FakeModels(replace(ECHO, is_ready=False))) as server:
        reply = await server.ask(asked(operation))

    assert reply.status == 503
    assert msgspec.json.decode(reply.body, type=operation.answers[JSON]).ready is False


@pytest.mark.parametrize(
    "data",
    [
        post("/v2/models/echo/infer", {"inputs": []}),
        post("/v2/models/nobody/infer", FILE),
        request("GET", "/v2/models/nobody"),
        request("GET", "/nothing"),
        request("DELETE", "/v2"),
        request("BREW", "/v2"),
        b"GET /v2 HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_refusal_is_of_its_type(server, data):
    reply = await server.ask(data)

    assert reply.headers["content-type"] == "application/problem+json"
    assert msgspec.json.decode(reply.body, type=ProblemBody).status == reply.status
