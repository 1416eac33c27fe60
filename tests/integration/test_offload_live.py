"""A request that leaves the device, through the processes as they are: daemon, edged-offload, gate, and an endpoint behind HTTPS."""

import http.client
import json
import socket
import struct
from contextlib import closing

import pytest

from edged.api.documents.budget import BUDGET_PATH, BudgetDocument
from edged.cli.http import Client
from edged.codec import encode_canonical
from edged.egress.link import LinkReport
from edged.sense.context import Link
from tests.fakes.bundles import adder_answer, make_bundle
from tests.fakes.certificates import write_certificate
from tests.fakes.gates import running_gate
from tests.fakes.https_endpoints import HOST, answer, https_endpoint
from tests.fakes.live_daemons import live_daemon
from tests.fakes.services import process

POLICY = """\
schema = 1
name = "outside"

[[rule]]
name = "ask-the-cloud"
then = { offload = "prefer" }
"""
FAR = 4711.0
FILE = b"Hello, edge"
BODY = {"inputs": [{"name": "file", "shape": [1], "datatype": "BYTES", "data": [FILE.decode()]}]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A device whose policy prefers the cloud, with everything running."""
    place = tmp_path_factory.mktemp("world")
    certificate = write_certificate(place / "both.pem", HOST)
    (place / "credentials").mkdir()
    (place / "credentials" / "offload_cloud").write_text("Authorization: Bearer s3cret\n")
    (place / "policy.toml").write_text(POLICY)
    bundle = make_bundle(place / "bundles")
    far = answer([("sum", "FP32", [1, 1], struct.pack("<f", FAR))])
    with (
        https_endpoint(certificate, lambda _: far) as web,
        running_gate(allow_private=[f"{HOST}:{web.port}"]) as gate,
        live_daemon() as device,
    ):
        device.install(bundle)
        device.roll_out("adder", "1.0.0")
        device.configure(
            {
                "policy": {"name": "", "file": place / "policy.toml"},
                "regulatory": {"log_decisions": True},
                "offload.endpoints.adder": {"url": web.url, "private": True, "credential": "cloud"},
            }
        )
        settings = device.directory / "edged.toml"
        settings.write_text(settings.read_text().replace(str(device.directory / "proxy.sock"), str(gate.path)))
        (device.directory / "link.json").write_bytes(
            encode_canonical(LinkReport(link=Link.ETHERNET, interface="eth0", since_unix_s=0.0))
        )
        environ = {"SSL_CERT_FILE": str(certificate), "CREDENTIALS_DIRECTORY": str(place / "credentials")}
        with process("edged.offload", "--config", settings, environ=environ):
            device.start()
            device.wait_for_model("adder")
            yield device, web


class UnixConnection(http.client.HTTPConnection):
    """To a socket of the file system."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def infer(device, **parameters):
    with closing(UnixConnection(device.app_socket)) as connection:
        connection.request("POST", "/v2/models/adder/infer", json.dumps({**BODY, "parameters": parameters}))
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def test_with_consent_the_endpoint_answers_in_the_same_form(world):
    device, web = world
    before = len(web.asked)

    status, document = infer(device, offload=True)

    assert status == 200
    assert document["outputs"][0]["data"] == [FAR]
    assert document["parameters"]["offloaded"] is True
    asked = web.asked[before]
    assert asked.fields["authorization"] == "Bearer s3cret"
    assert FILE in asked.inputs["file"]


def test_without_consent_nothing_leaves(world):
    device, web = world
    before = len(web.asked)

    status, document = infer(device)

    assert status == 200
    assert document["outputs"][0]["data"] == [adder_answer(FILE)]
    assert "offloaded" not in document["parameters"]
    assert len(web.asked) == before


def test_what_left_is_counted_and_told_without_what_it_was(world):
    device, web = world
    infer(device, offload=True)

    days = Client(str(device.app_socket)).get(BUDGET_PATH, BudgetDocument).days
    counted = [model for day in days for model in day.models if model.model == "adder"]

    assert sum(model.offloaded for model in counted) == len(web.asked)
    assert sum(model.offload_sent_bytes for model in counted) > sum(len(asked.body) for asked in web.asked)
    assert "Request answered outside of this device" in device.log
    assert FILE.decode() not in device.log
    assert "s3cret" not in device.log


def test_what_left_is_in_the_metrics(world):
    device, web = world
    infer(device, offload=True)
    with closing(UnixConnection(device.app_socket)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()

    assert f'edged_offload_requests_total{{model="adder",result="answered"}} {len(web.asked)}' in text
    assert 'edged_offload_bytes_total{model="adder",direction="sent"}' in text
