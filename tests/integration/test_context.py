"""What the device knows of itself over HTTP, and what apps say of models."""

import os

import pytest

from edged.policy.given import CALM
from edged.sense.assemble import Sensor
from edged.sense.reading import known
from tests.fakes.contexts import FakeContexts
from tests.fakes.device_routes import FakeHints, device_routes
from tests.fakes.raw_http import post, request, running

CONTEXT, ACCURACY = "/edged/v1/context", "/edged/v1/models/echo/accuracy"


async def test_the_context_is_that_of_now_with_its_sensors(tmp_path):
    contexts = FakeContexts()
    contexts.current = CALM
    contexts.sensors = (Sensor(name="zone0", quantity="temperature", value=known(40.0), unit="degC"),)
    async with running(tmp_path / "s", routes=device_routes(contexts=contexts)) as server:
        calm = (await server.ask(request("GET", CONTEXT))).json()
        contexts.set(throttled=known(value=True))
        throttled = (await server.ask(request("GET", CONTEXT))).json()

    assert calm["quantities"]["thermal"] == {"value": "nominal"}
    assert calm["sensors"] == [{"name": "zone0", "quantity": "temperature", "value": 40.0, "unit": "degC"}]
    assert throttled["quantities"]["throttled"] == {"value": True}
    assert throttled["serial"] == calm["serial"] + 1


async def test_what_an_app_says_of_a_model_is_taken_as_its_users(tmp_path):
    hints = FakeHints()
    async with running(tmp_path / "s", routes=device_routes(hints=hints)) as server:
        reply = await server.ask(post(ACCURACY, {"accuracy": "degraded", "for_s": 60}))
        again = await server.ask(post(ACCURACY, {"accuracy": "ok"}))

    assert (reply.status, reply.json()) == (
        200,
        {"schema": 1, "model": "echo", "accuracy": "degraded", "for_s": 60.0},
    )
    assert again.status == 200
    assert hints.said == [("echo", "degraded", 60.0, os.getuid()), ("echo", "ok", 600.0, os.getuid())]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/edged/v1/models/nobody/accuracy", {"accuracy": "ok"}, 404),
        (ACCURACY, {"accuracy": "bad"}, 400),
        (ACCURACY, {"accuracy": "ok", "for_s": 0}, 400),
        (ACCURACY, {"accuracy": "ok", "for_s": 1e9}, 400),
        (ACCURACY, {"accuracy": "ok", "model": "echo"}, 400),
        (ACCURACY, {}, 400),
    ],
)
async def test_what_cannot_be_taken_is_refused(tmp_path, path, body, status):
    hints = FakeHints()
    async with running(tmp_path / "s", routes=device_routes(hints=hints)) as server:
        reply = await server.ask(post(path, body))

    assert reply.status == status
    assert hints.said == []
