"""The live API against its own description: schemathesis makes requests that fit it and requests that do not.

Every answer has to have a status, a media type, a body and headers that the description gives it; a request that does not fit has to be
refused. The same requests are made in every run.
"""

import json
import socket
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from edged.api.description.openapi import document
from edged.api.documents.events import EVENTS_PATH
from edged.api.endpoints.steering import SteeringRoutes
from edged.api.oip.request import HEADER_LENGTH
from tests.fakes.device_routes import device_routes
from tests.fakes.gates import short_directory
from tests.fakes.policies import PolicyWorld, policy_routes
from tests.fakes.raw_http import running
from tests.fakes.steered import FakeUpdates
from tests.fakes.threads import in_thread

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not in Debian")
import requests  # noqa: E402 - comes with schemathesis, as the others do
import urllib3  # noqa: E402
from schemathesis.config import SchemathesisConfig  # noqa: E402

JSON = "application/json"


class UnixConnection(urllib3.connection.HTTPConnection):
    """A connection to a Unix socket, whatever host it is for."""

    def __init__(self, path: Path, *args, **options) -> None:
        super().__init__(*args, **options)
        self.path = path

    def _new_conn(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(str(self.path))
        return sock


class UnixAdapter(requests.adapters.HTTPAdapter):
    """Sends every request to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.pool = urllib3.HTTPConnectionPool("localhost")
        self.pool.ConnectionCls = partial(UnixConnection, path)

    def get_connection_with_tls_context(self, *_args, **_options):
        return self.pool

    def close(self) -> None:
        self.pool.close()
        super().close()


@asynccontextmanager
async def everything(directory):
    """The administrators' socket, with all that is on it."""
    (directory / "policy").mkdir()
    with PolicyWorld(directory / "policy").report() as report:
        routes = [*device_routes(), *policy_routes(report), *SteeringRoutes(FakeUpdates()).routes()]
        async with running(directory / "s", routes=routes) as server:
            yield server


@pytest.fixture(scope="module")
def session():
    with (
        short_directory() as directory,
        in_thread(lambda: everything(directory)),
        requests.Session() as session,
    ):
        session.mount("http://", UnixAdapter(directory / "s"))
        yield session


def config(*, mode: str, accepted: list[str]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "base-url": "http://localhost",
            "seed": 1,
            "generation": {"mode": mode, "deterministic": True, "max-examples": 60, "database": "none"},
            # Methods that the rules for heads know; others are refused with 501, whatever the path.
            "phases": {"coverage": {"unexpected-methods": ["get", "post", "put", "delete", "patch", "options"]}},
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "304", "4xx"]},
                "positive_data_acceptance": {"expected-statuses": accepted},
            },
        }
    )


def described(*, models: list[str], versions: list[str]) -> dict:
    """The document for models that are there: requests for others end at 404 before anything else is looked at."""
    value = json.loads(document())
    parameters = value["components"]["parameters"]
    parameters["model"]["schema"] = {"enum": models}
    parameters["version"]["schema"] = {"enum": versions}
    # A stream has no end to wait for (tests/integration/test_events.py).
    del value["paths"][EVENTS_PATH]
    return value


def described_for_echo() -> dict:
    """The inference with one model alone, described as narrowly as that model takes it."""
    value = described(models=["echo"], versions=["1.2.3"])
    value["paths"] = {path: item for path, item in value["paths"].items() if path.endswith("/infer")}
    for item in value["paths"].values():
        operation = item["post"]
        operation["parameters"] = [one for one in operation["parameters"] if HEADER_LENGTH not in one["$ref"]]
        operation["requestBody"] = {"content": {JSON: operation["requestBody"]["content"][JSON]}, "required": True}
    schemas = value["components"]["schemas"]
    schemas["InferInput"] |= {
        "properties": {
            "name": {"enum": ["content"]},
            "datatype": {"enum": ["BYTES"]},
            "shape": {"enum": [[1]]},
            "data": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 1},
        },
        "required": ["name", "datatype", "shape", "data"],
    }
    schemas["RequestedOutput"]["properties"]["name"] = {"enum": ["label", "score"]}
    request = schemas["InferRequest"]["properties"]
    request["inputs"] |= {"minItems": 1, "maxItems": 1}
    request["outputs"] |= {"maxItems": 1}
    request["model_name"] = {"enum": ["echo", ""]}
    # The model keeps no state.
    for name in ("sequence_id", "sequence_start", "sequence_end"):
        request["parameters"]["properties"][name] = False
    return value


anything = schemathesis.openapi.from_dict(
    described(models=["echo", "pair"], versions=["1.2.3", "0.1.0"]),
    # Which tensors fit is said by the model and not by the schema, and whether there is an override to end by what was done before.
    config=config(mode="all", accepted=["2xx", "304", "400", "404", "409"]),
)
fitting = schemathesis.openapi.from_dict(described_for_echo(), config=config(mode="positive", accepted=["200"]))


@anything.hook
def filter_case(_context, case) -> bool:
    """Leave out JSON under the header which says that it is none: then any bytes are right, which a schema cannot say."""
    is_bare = str((case.headers or {}).get(HEADER_LENGTH)) == "0"
    return not (is_bare and case.media_type == JSON)


@anything.parametrize()
def test_answers_are_as_described(case, session):
    case.call_and_validate(session=session)


@fitting.parametrize()
def test_requests_that_fit_description_and_model_are_answered(case, session):
    case.call_and_validate(session=session)
